//! A page as text, chunk by chunk.
//!
//! Promises: the output is Prometheus text format 0.0.4 or OpenMetrics 1.0, with
//! each family once, sorted by name, and without expired series. Rendering takes
//! the memory of one chunk, however long the page is, and changes nothing.
//!
//! Knows nothing of connections.

use std::sync::Arc;

use crate::page::state::{LatestSample, PageSnapshot, SeriesChunk, has_expired};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFormat {
    /// Prometheus text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

#[derive(Debug, Clone, Copy)]
pub struct RenderOptions {
    pub format: PageFormat,
    pub send_timestamps: bool,
    pub expiration_ms: i64,
    /// The time of the scrape, as samples have their time of arrival.
    pub now: i64,
}

/// Renders a page and keeps the position between chunks.
#[derive(Debug)]
pub struct PageRenderer {
    page: Arc<PageSnapshot>,
    options: RenderOptions,
    family: usize,
    chunk: usize,
    slot: usize,
    /// Whether the `HELP` and `TYPE` lines of the family are written.
    has_header: bool,
    ended: bool,
}

impl PageFormat {
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl PageRenderer {
    pub fn new(page: Arc<PageSnapshot>, options: RenderOptions) -> Self {
        Self {
            page,
            options,
            family: 0,
            chunk: 0,
            slot: 0,
            has_header: false,
            ended: false,
        }
    }

    /// Appends whole series to `out` until it has at least `length` bytes. Returns
    /// `false` when the page has ended.
    pub fn fill(&mut self, out: &mut Vec<u8>, length: usize) -> bool {
        let page = Arc::clone(&self.page);
        while let Some(family) = page.families.get(self.family) {
            while let Some(chunk) = family.chunks.get(self.chunk) {
                while self.slot < chunk.len() {
                    if out.len() >= length {
                        return true;
                    }
                    self.write_series(&family.name, chunk, out);
                    self.slot += 1;
                }
                self.slot = 0;
                self.chunk += 1;
            }
            self.chunk = 0;
            self.has_header = false;
            self.family += 1;
        }
        if !self.ended && self.options.format == PageFormat::OpenMetrics {
            out.extend_from_slice(b"# EOF\n");
        }
        self.ended = true;
        false
    }

    fn write_series(&mut self, family: &str, chunk: &SeriesChunk, out: &mut Vec<u8>) {
        let sample = chunk.samples()[self.slot];
        if has_expired(&sample, self.options.now, self.options.expiration_ms) {
            return;
        }
        if !self.has_header {
            write_header(family, out);
            self.has_header = true;
        }
        out.extend_from_slice(family.as_bytes());
        let mut before = b'{';
        for label in chunk.labels(self.slot) {
            out.push(before);
            out.extend_from_slice(label.as_bytes());
            before = b',';
        }
        if before == b',' {
            out.push(b'}');
        }
        self.write_value(&sample, out);
        out.push(b'\n');
    }

    fn write_value(&self, sample: &LatestSample, out: &mut Vec<u8>) {
        out.push(b' ');
        if sample.value.is_finite() {
            let mut buffer = zmij::Buffer::new();
            out.extend_from_slice(buffer.format_finite(sample.value).as_bytes());
        } else if sample.value.is_nan() {
            out.extend_from_slice(b"NaN");
        } else {
            let sign = if sample.value < 0.0 { "-Inf" } else { "+Inf" };
            out.extend_from_slice(sign.as_bytes());
        }
        if !self.options.send_timestamps {
            return;
        }
        out.push(b' ');
        let mut buffer = itoa::Buffer::new();
        match self.options.format {
            PageFormat::Text => out.extend_from_slice(buffer.format(sample.time).as_bytes()),
            PageFormat::OpenMetrics => write_seconds(sample.time, out),
        }
    }
}

fn write_header(family: &str, out: &mut Vec<u8>) {
    for part in [
        "# HELP ",
        family,
        " The latest ",
        family,
        " that was collected.\n# TYPE ",
        family,
        " gauge\n",
    ] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Writes a time in seconds, with milliseconds as decimals where there are any.
fn write_seconds(millis: i64, out: &mut Vec<u8>) {
    if millis < 0 {
        out.push(b'-');
    }
    let millis = millis.unsigned_abs();
    let mut buffer = itoa::Buffer::new();
    out.extend_from_slice(buffer.format(millis / 1000).as_bytes());
    let rest = (millis % 1000) as u32;
    if rest > 0 {
        out.push(b'.');
        let digits = [rest / 100, rest / 10 % 10, rest % 10];
        out.extend(digits.map(|digit| b'0' + digit as u8));
    }
}
