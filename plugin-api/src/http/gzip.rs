//! Compresses the body of a request.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use crate::Failure;

/// A buffer for compressed bodies, which serves one request after the other.
#[derive(Debug, Default)]
pub struct GzipBuffer(Vec<u8>);

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
