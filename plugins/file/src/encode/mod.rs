//! Rows as lines of JSON.
//!
//! A series has the form that the host's ingest API takes:
//! `{"name":…,"labels":{…},"values":{"<ms>":number}}`. Rows are encoded in one
//! pass without an allocation per point. However long a batch or a series is, about
//! `CHUNK` bytes are in memory.
//!
//! Knows nothing of files.

use std::io::{self, Write};

use delfin_plugin_api::{
    Skipped,
    json::{Compact, JsonBatch, JsonWriter},
};

/// Bytes to collect before they are written to the file.
const CHUNK: usize = 256 * 1024;

/// JSON text on its way to a writer, collected in a buffer that batches share.
pub struct Lines<'a, W> {
    buffer: &'a mut Vec<u8>,
    to: W,
}

impl<'a, W: Write> Lines<'a, W> {
    pub fn new(buffer: &'a mut Vec<u8>, to: W) -> Self {
        // A failed attempt leaves text in the buffer, and a long text leaves it
        // with more capacity than the next batch needs.
        buffer.clear();
        buffer.shrink_to(2 * CHUNK);
        Self { buffer, to }
    }

    /// Writes each row of a batch as a line.
    pub fn write<B: JsonBatch>(&mut self, batch: &B) -> io::Result<Skipped> {
        let mut writer = JsonWriter::<Compact>::new();
        let (buffer, mut drain) = self.parts();
        for row in batch.json_rows() {
            writer.write_draining(row, buffer, &mut drain)?;
            buffer.push(b'\n');
        }
        Ok(writer.skipped())
    }

    /// Writes what is still in the buffer.
    pub fn finish(mut self) -> io::Result<()> {
        self.write_out()
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.to.write_all(self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// The buffer, and a function that writes it out once it holds [`CHUNK`] bytes.
    fn parts(&mut self) -> (&mut Vec<u8>, impl FnMut(&mut Vec<u8>) -> io::Result<()>) {
        let to = &mut self.to;
        let drain = |buffer: &mut Vec<u8>| {
            if buffer.len() >= CHUNK {
                to.write_all(buffer)?;
                buffer.clear();
            }
            Ok(())
        };
        (self.buffer, drain)
    }
}

#[cfg(test)]
mod tests;
