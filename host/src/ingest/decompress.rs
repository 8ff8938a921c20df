//! Decompresses a body.
//!
//! Decompression stops at the limit, so a small body that expands to a huge one costs
//! no more than the limit. A body that is cut off, or followed by other bytes, is an
//! error.

use std::{
    borrow::Cow,
    io::{self, Read},
};

use super::{BodyEncoding, BodyLimits, IngestError};

// The columns of a batch have 32-bit offsets.
const MAX_BYTES: u64 = i32::MAX as u64;

// The maximum for HTTP (RFC 9659). A client can demand the memory of a window with a
// few bytes.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Decompresses a body. An uncompressed body is borrowed, not copied.
pub(super) fn decompress<'a>(
    bytes: &'a [u8],
    encoding: BodyEncoding,
    limits: &BodyLimits,
) -> Result<Cow<'a, [u8]>, IngestError> {
    let limit = limits.max_decompressed_bytes.min(MAX_BYTES);
    match encoding {
        BodyEncoding::Identity if bytes.len() as u64 > limit => {
            Err(IngestError::TooManyBytes { limit })
        }
        BodyEncoding::Identity => Ok(Cow::Borrowed(bytes)),
        BodyEncoding::Gzip => read_all(flate2::bufread::MultiGzDecoder::new(bytes), "gzip", limit),
        BodyEncoding::Zstd => {
            let decoder = zstd_decoder(bytes).map_err(|error| compression_error("zstd", &error))?;
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
        .map_err(|error| compression_error(encoding, &error))?;
    if plain.len() as u64 > limit {
        return Err(IngestError::TooManyBytes { limit });
    }
    Ok(Cow::Owned(plain))
}

fn compression_error(encoding: &'static str, error: &io::Error) -> IngestError {
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

    fn limit(max_decompressed_bytes: u64) -> BodyLimits {
        BodyLimits {
            max_decompressed_bytes,
            ..BodyLimits::default()
        }
    }

    fn check(bytes: &[u8], encoding: BodyEncoding) -> String {
        decompress(bytes, encoding, &limit(1000))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_body_is_decompressed() {
        let plain = b"one\ntwo\n";
        for (bytes, encoding) in [
            (plain.to_vec(), BodyEncoding::Identity),
            (gzip(plain), BodyEncoding::Gzip),
            (
                [gzip(b"one\n"), gzip(b"two\n")].concat(),
                BodyEncoding::Gzip,
            ),
            (zstd(plain), BodyEncoding::Zstd),
            (
                [zstd(b"one\n"), zstd(b"two\n")].concat(),
                BodyEncoding::Zstd,
            ),
        ] {
            assert_eq!(&*decompress(&bytes, encoding, &limit(8)).unwrap(), plain);
        }
    }

    #[test]
    fn decompression_stops_at_the_limit() {
        let zeros = vec![0; 10_000_000];
        let wanted = "the body holds more than 1000 bytes (send smaller batches, \
                      or raise `api.max_decompressed_bytes`)";
        assert_eq!(check(&gzip(&zeros), BodyEncoding::Gzip), wanted);
        assert_eq!(check(&zstd(&zeros), BodyEncoding::Zstd), wanted);
        assert_eq!(check(&zeros, BodyEncoding::Identity), wanted);
    }

    #[test]
    fn a_truncated_body_is_cut_off() {
        for (mut bytes, encoding, name) in [
            (gzip(b"some text"), BodyEncoding::Gzip, "gzip"),
            (zstd(b"some text"), BodyEncoding::Zstd, "zstd"),
        ] {
            bytes.pop();
            let wanted = format!("the body is not valid {name}: it is cut off");
            assert_eq!(check(&bytes, encoding), wanted);
        }
    }

    #[test]
    fn bytes_after_the_end_are_an_error() {
        for (bytes, encoding, name) in [
            (gzip(b"some text"), BodyEncoding::Gzip, "gzip"),
            (zstd(b"some text"), BodyEncoding::Zstd, "zstd"),
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
    fn a_window_larger_than_http_allows_is_refused() {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"small").unwrap();
        let bytes = encoder.finish().unwrap();
        let message = check(&bytes, BodyEncoding::Zstd);
        assert!(message.contains("too much memory"), "{message}");
    }
}
