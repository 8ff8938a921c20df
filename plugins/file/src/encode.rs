//! Rows as lines of JSON.
//!
//! A series is written in the form in which it can be handed in again:
//! `{"name":…,"labels":{…},"values":{"<ms>":number}}`. Rows are encoded in one
//! pass, nothing is allocated for a point, and whatever the size of the batch,
//! or of one series, about [`CHUNK`] bytes are held.
//!
//! Knows nothing of files.

use std::io::{self, Write};

use delfin_plugin_api::{
    AlertBatch, Batch, PerformanceBatch, Skipped,
    json::{Compact, Writer},
};

/// How much is gathered before it is written.
pub(crate) const CHUNK: usize = 256 * 1024;

/// A batch that can be written as lines.
pub(crate) trait Encode: Batch {
    /// Writes each row as a line.
    fn encode<W: Write>(&self, lines: &mut Lines<'_, W>) -> io::Result<Skipped>;
}

/// JSON text on its way to a writer.
pub(crate) struct Lines<'a, W> {
    buffer: &'a mut Vec<u8>,
    to: W,
}

impl<'a, W: Write> Lines<'a, W> {
    /// Lines that go through a buffer that can be used again and again.
    pub(crate) fn new(buffer: &'a mut Vec<u8>, to: W) -> Self {
        // An attempt that failed has left its rest, and a long text its room.
        buffer.clear();
        buffer.shrink_to(2 * CHUNK);
        Self { buffer, to }
    }

    /// Writes what is still held.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.write_out()
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.to.write_all(self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// The buffer, and what empties it once there is enough in it.
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

impl Encode for PerformanceBatch {
    fn encode<W: Write>(&self, lines: &mut Lines<'_, W>) -> io::Result<Skipped> {
        let mut writer = Writer::<Compact>::new();
        let (buffer, mut drain) = lines.parts();
        for series in self.series() {
            writer.write_draining(series, buffer, &mut drain)?;
            buffer.push(b'\n');
        }
        Ok(writer.skipped())
    }
}

impl Encode for AlertBatch {
    fn encode<W: Write>(&self, lines: &mut Lines<'_, W>) -> io::Result<Skipped> {
        let mut writer = Writer::<Compact>::new();
        let (buffer, mut drain) = lines.parts();
        for alert in self.alerts() {
            writer.write_draining(alert, buffer, &mut drain)?;
            buffer.push(b'\n');
        }
        Ok(writer.skipped())
    }
}
