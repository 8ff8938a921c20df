//! Rows as lines of JSON.
//!
//! A series is written in the form in which it can be handed in again:
//! `{"name":…,"labels":{…},"values":{"<ms>":number}}`. Rows are encoded in one
//! pass, nothing is allocated for a label or a point, and whatever the size of
//! the batch, or of one series, about [`CHUNK`] bytes are held.
//!
//! Knows nothing of files.

use std::io::{self, Write};

use delfin_plugin_api::{Alert, AlertBatch, Batch, Labels, LeftOut, PerformanceBatch, Series};

/// How much is gathered before it is written.
pub(crate) const CHUNK: usize = 256 * 1024;

/// A batch that can be written as lines.
pub(crate) trait Encode: Batch {
    /// Writes each row as a line.
    fn encode<W: Write>(&self, lines: &mut Lines<'_, W>) -> io::Result<LeftOut>;
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

    fn raw(&mut self, json: &[u8]) {
        self.buffer.extend_from_slice(json);
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        if self.buffer.len() >= CHUNK {
            self.write_out()?;
        }
        Ok(serde_json::to_writer(&mut *self.buffer, text)?)
    }

    fn integer(&mut self, number: i64) {
        self.raw(itoa::Buffer::new().format(number).as_bytes());
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.to.write_all(self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn series(&mut self, series: Series<'_>) -> io::Result<u64> {
        self.raw(b"{\"name\":");
        self.text(series.name())?;
        self.raw(b",\"labels\":{");
        self.labels(series.labels())?;
        self.raw(b"},\"values\":{");
        let left_out = self.points(series.points())?;
        self.raw(b"}}\n");
        Ok(left_out)
    }

    fn labels(&mut self, labels: Labels<'_>) -> io::Result<()> {
        let mut comma: &[u8] = b"";
        for (key, value) in labels {
            self.raw(comma);
            self.text(key)?;
            self.raw(b":");
            self.text(value)?;
            comma = b",";
        }
        Ok(())
    }

    fn points(&mut self, points: impl Iterator<Item = (i64, f64)>) -> io::Result<u64> {
        let mut left_out = 0;
        let mut quote: &[u8] = b"\"";
        for (time, value) in points {
            if !value.is_finite() {
                left_out += 1;
                continue;
            }
            if self.buffer.len() >= CHUNK {
                self.write_out()?;
            }
            self.raw(quote);
            self.integer(time);
            self.raw(b"\":");
            self.raw(zmij::Buffer::new().format_finite(value).as_bytes());
            quote = b",\"";
        }
        Ok(left_out)
    }

    fn alert(&mut self, alert: Alert<'_>) -> io::Result<u64> {
        self.raw(b"{");
        for (column, text) in alert.texts() {
            self.text(column)?;
            self.raw(b":");
            self.text(text)?;
            self.raw(b",");
        }
        self.raw(b"\"occur_time\":");
        self.integer(alert.occur_time());
        let mut left_out = 0;
        for (key, text) in alert.extra() {
            if has_column(alert, key) {
                left_out += 1;
                continue;
            }
            self.raw(b",");
            self.text(key)?;
            self.raw(b":");
            self.text(text)?;
        }
        self.raw(b"}\n");
        Ok(left_out)
    }
}

impl Encode for PerformanceBatch {
    fn encode<W: Write>(&self, lines: &mut Lines<'_, W>) -> io::Result<LeftOut> {
        let mut left_out = LeftOut::default();
        for series in self.series() {
            left_out.non_finite_points += lines.series(series)?;
        }
        Ok(left_out)
    }
}

impl Encode for AlertBatch {
    fn encode<W: Write>(&self, lines: &mut Lines<'_, W>) -> io::Result<LeftOut> {
        let mut left_out = LeftOut::default();
        for alert in self.alerts() {
            left_out.clashing_extras += lines.alert(alert)?;
        }
        Ok(left_out)
    }
}

fn has_column(alert: Alert<'_>, key: &str) -> bool {
    key == "occur_time" || alert.texts().any(|(column, _)| column == key)
}
