//! Decompresses a body.
//!
//! Decompression stops at the limit, so a small body that expands to a huge one costs
//! no more than the limit. A body is one compressed stream or several after each other.
//! Zeros after a gzip stream are padding; any other bytes after a stream are an error, and
//! so is a stream that is cut off.

use std::{
    borrow::Cow,
    io::{self, Read},
};

use super::{BodyEncoding, BodyLimits, IngestError, guard::ParseGuard};

// The columns of a batch have 32-bit offsets.
const MAX_BYTES: u64 = i32::MAX as u64;

// The maximum for HTTP (RFC 9659). A client can demand the memory of a window with a
// few bytes.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Bytes between two looks at the clock and the memory.
const BYTES_PER_CHECK: u64 = 1 << 20;

/// Decompresses a body. An uncompressed body is not copied.
///
/// # Errors
///
/// The body is not compressed as `encoding` says, or a limit is exceeded.
pub fn decompress<'a>(
    bytes: Cow<'a, [u8]>,
    encoding: BodyEncoding,
    limits: &BodyLimits,
    guard: &mut ParseGuard,
) -> Result<Cow<'a, [u8]>, IngestError> {
    let limit = limits.max_decompressed_bytes.min(MAX_BYTES);
    match encoding {
        BodyEncoding::Identity if bytes.len() as u64 > limit => {
            Err(IngestError::TooManyBytes { limit })
        }
        BodyEncoding::Identity => Ok(bytes),
        BodyEncoding::Gzip => read_all(&bytes, limit, &GZIP, guard).map(Cow::Owned),
        BodyEncoding::Zstd => read_all(&bytes, limit, &ZSTD, guard).map(Cow::Owned),
        BodyEncoding::Snappy => read_snappy(&bytes, limit, guard).map(Cow::Owned),
    }
}

/// How streams of one encoding are recognised and read.
struct Codec {
    name: &'static str,
    /// Whether these bytes begin a stream.
    is_stream: fn(&[u8]) -> bool,
    /// Whether these bytes after a stream mean nothing.
    is_padding: fn(&[u8]) -> bool,
    /// Decompresses one stream up to a limit, and advances behind it.
    read: fn(&mut &[u8], u64, &mut PlainBytes<'_>) -> Result<(), DecompressError>,
}

/// The decompressed bytes so far.
struct PlainBytes<'g> {
    bytes: Vec<u8>,
    guard: &'g mut ParseGuard,
}

/// Why a stream cannot be decompressed.
enum DecompressError {
    Stream(io::Error),
    Limit(IngestError),
}

impl PlainBytes<'_> {
    /// Adds everything that a decoder has, up to a limit.
    fn read_from(&mut self, decoder: impl Read, limit: u64) -> Result<(), DecompressError> {
        let mut decoder = decoder.take(limit);
        loop {
            let mut part = decoder.by_ref().take(BYTES_PER_CHECK);
            if part.read_to_end(&mut self.bytes)? == 0 {
                return Ok(());
            }
            let checked = self.guard.check(self.bytes.len());
            checked.map_err(DecompressError::Limit)?;
        }
    }
}

impl From<io::Error> for DecompressError {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

const GZIP: Codec = Codec {
    name: "gzip",
    is_stream: |bytes| bytes.starts_with(&[0x1f, 0x8b]),
    // As `gunzip` does: tapes and block devices fill up their last block.
    is_padding: |bytes| bytes.iter().all(|byte| *byte == 0),
    read: |bytes, limit, plain| plain.read_from(flate2::bufread::GzDecoder::new(bytes), limit),
};

const ZSTD: Codec = Codec {
    name: "zstd",
    // A frame, or one to skip.
    is_stream: |bytes| {
        matches!(
            bytes,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]
        )
    },
    is_padding: <[u8]>::is_empty,
    read: |bytes, limit, plain| {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?.single_frame();
        decoder.window_log_max(ZSTD_WINDOW_LOG)?;
        plain.read_from(decoder, limit)
    },
};

fn read_all(
    bytes: &[u8],
    limit: u64,
    codec: &Codec,
    guard: &mut ParseGuard,
) -> Result<Vec<u8>, IngestError> {
    guard.hold_body(bytes.len())?;
    let mut rest = bytes;
    let bytes = Vec::new();
    let mut plain = PlainBytes { bytes, guard };
    loop {
        let left = limit + 1 - plain.bytes.len() as u64;
        (codec.read)(&mut rest, left, &mut plain).map_err(|error| match error {
            DecompressError::Stream(error) => compression_error(codec.name, &error),
            DecompressError::Limit(error) => error,
        })?;
        if plain.bytes.len() as u64 > limit {
            return Err(IngestError::TooManyBytes { limit });
        }
        if (codec.is_padding)(rest) {
            // The batch may keep the buffer.
            plain.bytes.shrink_to_fit();
            return Ok(plain.bytes);
        }
        if !(codec.is_stream)(rest) {
            return Err(IngestError::Compression {
                encoding: codec.name,
                reason: match rest.len() {
                    1 => "another byte follows the compressed data".to_owned(),
                    count => format!("{count} other bytes follow the compressed data"),
                },
            });
        }
    }
}

/// Reads a block, which begins with the number of its bytes.
fn read_snappy(bytes: &[u8], limit: u64, guard: &mut ParseGuard) -> Result<Vec<u8>, IngestError> {
    guard.hold_body(bytes.len())?;
    let invalid = |error: snap::Error| IngestError::Compression {
        encoding: "snappy",
        reason: error.to_string(),
    };
    let length = snap::raw::decompress_len(bytes).map_err(invalid)?;
    if length as u64 > limit {
        return Err(IngestError::TooManyBytes { limit });
    }
    guard.check(length)?;
    let plain = snap::raw::Decoder::new().decompress_vec(bytes);
    plain.map_err(invalid)
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
    use std::io::Write;

    use super::*;
    use crate::ingest::MemoryClaim;

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

    fn decompressed(
        bytes: &[u8],
        encoding: BodyEncoding,
        limits: &BodyLimits,
    ) -> Result<Vec<u8>, IngestError> {
        let mut guard = ParseGuard::unlimited(limits);
        decompress(bytes.into(), encoding, limits, &mut guard).map(Cow::into_owned)
    }

    fn check(bytes: &[u8], encoding: BodyEncoding) -> String {
        decompressed(bytes, encoding, &limit(1000))
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
            assert_eq!(decompressed(&bytes, encoding, &limit(8)).unwrap(), plain);
        }
    }

    #[test]
    fn a_snappy_block_is_refused_by_the_length_that_it_declares() {
        let block = |plain: &[u8]| snap::raw::Encoder::new().compress_vec(plain).unwrap();
        let plain = decompressed(&block(b"text"), BodyEncoding::Snappy, &limit(8)).unwrap();
        assert_eq!(plain, b"text");
        let message = check(&block(&vec![0; 10_000_000]), BodyEncoding::Snappy);
        assert!(message.contains("more than 1000 bytes"), "{message}");
        for wrong in [&b""[..], b"\xff\xff\xff\xff\x0f", b"\x05abc", b"text"] {
            let message = check(wrong, BodyEncoding::Snappy);
            let is_refused =
                message.contains("is not valid snappy") || message.contains("more than 1000 bytes");
            assert!(is_refused, "{message}");
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
    fn decompression_stops_at_the_memory_of_a_request() {
        let limits = BodyLimits::default();
        let bomb = gzip(&vec![0; 40 << 20]);
        let mut guard = ParseGuard::start(&limits, MemoryClaim::of_at_most(16 << 20));
        let refused = decompress(bomb.into(), BodyEncoding::Gzip, &limits, &mut guard);
        let error = refused.unwrap_err().to_string();
        assert!(
            error.contains("more than 16777216 bytes of memory"),
            "{error}"
        );
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
    fn bytes_after_the_end_are_an_error_unless_they_are_padding() {
        for (bytes, encoding, name) in [
            (gzip(b"some text"), BodyEncoding::Gzip, "gzip"),
            (zstd(b"some text"), BodyEncoding::Zstd, "zstd"),
        ] {
            for rubbish in [&b"x"[..], b"\n", b"\0\x01", b"rubbish, and more of it"] {
                let message = check(&[&bytes, rubbish].concat(), encoding);
                let what = match rubbish.len() {
                    1 => "another byte follows".to_owned(),
                    count => format!("{count} other bytes follow"),
                };
                let wanted = format!("the body is not valid {name}: {what} the compressed data");
                assert_eq!(message, wanted);
            }
        }
        for zeros in [1, 7, 512] {
            let padded = [gzip(b"some text"), vec![0; zeros]].concat();
            let plain = decompressed(&padded, BodyEncoding::Gzip, &limit(1000)).unwrap();
            assert_eq!(plain, b"some text");
        }
    }

    #[test]
    fn the_limit_is_for_all_streams_together() {
        let one = gzip(&[b'x'; 600]);
        let message = check(&[one.clone(), one].concat(), BodyEncoding::Gzip);
        assert!(message.contains("more than 1000 bytes"), "{message}");
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
