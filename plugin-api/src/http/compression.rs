//! Compresses the bodies of requests.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use serde_json::Value;

use crate::setting::Mistakes;

/// A level of zstd that is as quick as the network.
#[cfg(feature = "zstd")]
const ZSTD_LEVEL: i32 = 1;

/// How the body of a request is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// With gzip.
    Gzip,
    /// With zstd.
    #[cfg(feature = "zstd")]
    Zstd,
}

/// Compresses one body after the other, in a buffer that it keeps.
#[derive(Debug)]
pub struct BodyCompressor {
    compression: Compression,
    buffer: Vec<u8>,
}

impl Compression {
    /// Reads the setting `compression`. `allowed` is what the receiver decompresses; its first is
    /// the default.
    pub fn read(value: Option<Value>, allowed: &[Self], mistakes: &mut Mistakes) -> Self {
        let read = |value: &Value| {
            let name = value.as_str()?;
            let mut all = allowed.iter().copied();
            all.find(|compression| compression.as_str() == name)
        };
        let names: Vec<_> = allowed
            .iter()
            .map(|one| format!("`{}`", one.as_str()))
            .collect();
        let remedy = format!("write {}", names.join(" or "));
        let read = mistakes.read("compression", value, read, &remedy);
        read.or(allowed.first().copied()).unwrap_or(Self::None)
    }

    /// The name in settings, and in the header `Content-Encoding` except for `none`.
    const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
        }
    }
}

impl BodyCompressor {
    /// A compressor with an empty buffer.
    #[must_use]
    pub fn new(compression: Compression) -> Self {
        Self {
            compression,
            buffer: Vec::new(),
        }
    }

    /// The value of the header `Content-Encoding`; `None` if bodies are not compressed.
    #[must_use]
    pub fn encoding(&self) -> Option<&'static str> {
        (self.compression != Compression::None).then(|| self.compression.as_str())
    }

    /// The bytes as they are sent.
    ///
    /// # Errors
    ///
    /// No memory is left.
    pub fn compress<'a>(&'a mut self, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        self.buffer = match self.compression {
            Compression::None => return Ok(bytes),
            Compression::Gzip => {
                let mut encoder = GzEncoder::new(buffer, flate2::Compression::fast());
                encoder.write_all(bytes)?;
                encoder.finish()?
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(buffer, ZSTD_LEVEL)?;
                encoder.write_all(bytes)?;
                encoder.finish()?
            }
        };
        Ok(&self.buffer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_of_what_is_allowed_is_the_default() {
        let read = |value: Option<Value>| {
            let mut mistakes = Mistakes::default();
            let allowed = [Compression::Gzip, Compression::None];
            let read = Compression::read(value, &allowed, &mut mistakes);
            mistakes
                .into_result(read)
                .map_err(|error| error.to_string())
        };
        assert_eq!(read(None), Ok(Compression::Gzip));
        assert_eq!(read(Some(json!("none"))), Ok(Compression::None));
        assert_eq!(
            read(Some(json!("zstd"))).unwrap_err(),
            "`compression` cannot be `\"zstd\"` (write `gzip` or `none`)"
        );
    }

    #[test]
    fn bytes_come_back_and_the_buffer_serves_again() {
        let mut gzip = BodyCompressor::new(Compression::Gzip);
        for text in ["first", "2nd"] {
            let bytes = gzip.compress(text.as_bytes()).unwrap();
            let plain = io::read_to_string(flate2::read::GzDecoder::new(bytes)).unwrap();
            assert_eq!(plain, text);
        }
        assert_eq!(gzip.encoding(), Some("gzip"));
        let mut none = BodyCompressor::new(Compression::None);
        assert_eq!(none.compress(b"x").unwrap(), b"x");
        assert_eq!(none.encoding(), None);
    }

    #[test]
    #[cfg(feature = "zstd")]
    fn zstd_comes_back() {
        let mut zstd = BodyCompressor::new(Compression::Zstd);
        let bytes = zstd.compress(b"text").unwrap();
        assert_eq!(zstd::decode_all(bytes).unwrap(), b"text");
        assert_eq!(zstd.encoding(), Some("zstd"));
    }
}
