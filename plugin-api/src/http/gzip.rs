//! Compresses the body of a request.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use serde_json::Value;

use crate::{Failure, setting::Mistakes};

const COMPRESSION: &str = "write `none` or `gzip`";

/// A buffer for compressed bodies, which serves one request after the other.
#[derive(Debug, Default)]
pub struct GzipBuffer(Vec<u8>);

/// Reads the setting `compression`: whether bodies are compressed.
pub fn read_compression(value: Option<Value>, mistakes: &mut Mistakes) -> Option<bool> {
    let read = |value: &Value| match value.as_str()? {
        "none" => Some(false),
        "gzip" => Some(true),
        _ => None,
    };
    mistakes.read("compression", value, read, COMPRESSION)
}

impl GzipBuffer {
    /// The bytes, compressed with gzip. The request needs the header `Content-Encoding: gzip`.
    ///
    /// # Errors
    ///
    /// [`Failure::Retry`]; it does not occur while there is memory.
    pub fn compress(&mut self, bytes: &[u8]) -> Result<&[u8], Failure> {
        let mut buffer = std::mem::take(&mut self.0);
        buffer.clear();
        let mut encoder = GzEncoder::new(buffer, Compression::fast());
        let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
        self.0 = written.map_err(Failure::retry)?;
        Ok(&self.0)
    }
}
