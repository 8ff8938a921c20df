//! Taking the compression off a body.
//!
//! Stops at the limit, so that a body which claims little and holds much costs
//! no more than the limit. A body that is cut off or followed by other bytes is
//! an error.

use std::{
    borrow::Cow,
    io::{self, Read},
};

use super::{Encoding, IngestError, Limits};

// What a batch's columns can address.
const MOST_BYTES: u64 = i32::MAX as u64;

// Content sent over HTTP needs no larger window (RFC 9659), and a window is
// memory that a sender can claim with a few bytes.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The bytes without their compression; a plain body is not copied.
pub(super) fn decompress<'a>(
    bytes: &'a [u8],
    encoding: Encoding,
    limits: &Limits,
) -> Result<Cow<'a, [u8]>, IngestError> {
    let limit = limits.max_decompressed_bytes.min(MOST_BYTES);
    match encoding {
        Encoding::Identity if bytes.len() as u64 > limit => {
            Err(IngestError::TooManyBytes { limit })
        }
        Encoding::Identity => Ok(Cow::Borrowed(bytes)),
        Encoding::Gzip => read_all(flate2::bufread::MultiGzDecoder::new(bytes), "gzip", limit),
        Encoding::Zstd => {
            let decoder = zstd_decoder(bytes).map_err(|error| broken("zstd", &error))?;
            read_all(decoder, "zstd", limit)
        }
    }
}

fn zstd_decoder(bytes: &[u8]) -> io::Result<impl Read> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(decoder)
}

fn read_all<'a>(
    decoder: impl Read,
    encoding: &'static str,
    limit: u64,
) -> Result<Cow<'a, [u8]>, IngestError> {
    let mut plain = Vec::new();
    decoder
        .take(limit + 1)
        .read_to_end(&mut plain)
        .map_err(|error| broken(encoding, &error))?;
    if plain.len() as u64 > limit {
        return Err(IngestError::TooManyBytes { limit });
    }
    Ok(Cow::Owned(plain))
}

fn broken(encoding: &'static str, error: &io::Error) -> IngestError {
    let reason = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it is cut off".to_owned(),
        _ => error.to_string(),
    };
    IngestError::Compression { encoding, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(plain: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(plain, 3).unwrap()
    }

    fn limit(max_decompressed_bytes: u64) -> Limits {
        Limits {
            max_decompressed_bytes,
            ..Limits::default()
        }
    }

    fn check(bytes: &[u8], encoding: Encoding) -> String {
        decompress(bytes, encoding, &limit(1000))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_body_comes_out_as_it_went_in() {
        let plain = b"one\ntwo\n";
        for (bytes, encoding) in [
            (plain.to_vec(), Encoding::Identity),
            (gzip(plain), Encoding::Gzip),
            ([gzip(b"one\n"), gzip(b"two\n")].concat(), Encoding::Gzip),
            (zstd(plain), Encoding::Zstd),
            ([zstd(b"one\n"), zstd(b"two\n")].concat(), Encoding::Zstd),
        ] {
            assert_eq!(&*decompress(&bytes, encoding, &limit(8)).unwrap(), plain);
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let zeros = vec![0; 10_000_000];
        let wanted = "the body holds more than 1000 bytes (send smaller batches, \
                      or raise `api.max_decompressed_bytes`)";
        assert_eq!(check(&gzip(&zeros), Encoding::Gzip), wanted);
        assert_eq!(check(&zstd(&zeros), Encoding::Zstd), wanted);
        assert_eq!(check(&zeros, Encoding::Identity), wanted);
    }

    #[test]
    fn a_truncated_body_is_cut_off() {
        for (mut bytes, encoding, name) in [
            (gzip(b"some text"), Encoding::Gzip, "gzip"),
            (zstd(b"some text"), Encoding::Zstd, "zstd"),
        ] {
            bytes.pop();
            let wanted = format!("the body is not valid {name}: it is cut off");
            assert_eq!(check(&bytes, encoding), wanted);
        }
    }

    #[test]
    fn bytes_after_the_end_are_an_error() {
        for (bytes, encoding, name) in [
            (gzip(b"some text"), Encoding::Gzip, "gzip"),
            (zstd(b"some text"), Encoding::Zstd, "zstd"),
        ] {
            let message = check(
                &[bytes, b"rubbish, and more of it".to_vec()].concat(),
                encoding,
            );
            assert!(
                message.starts_with(&format!("the body is not valid {name}: ")),
                "{message}"
            );
        }
    }

    #[test]
    fn a_window_larger_than_http_needs_is_refused() {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"small").unwrap();
        let bytes = encoder.finish().unwrap();
        let message = check(&bytes, Encoding::Zstd);
        assert!(message.contains("too much memory"), "{message}");
    }
}
