//! A page as text, piece by piece.
//!
//! Promises: the Prometheus text format 0.0.4 or OpenMetrics 1.0, each family
//! once, by name; what has expired is left out. It takes the memory of a piece,
//! however long the page is, and changes nothing.
//!
//! Knows nothing of connections.

use std::sync::Arc;

use super::{
    chunk::{Chunk, Sample},
    store::{Page, has_expired},
};

/// The form of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// What is shown of a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) format: Format,
    pub(crate) send_timestamps: bool,
    pub(crate) expiration_ms: i64,
    /// The time at which it is looked at, in milliseconds since the epoch.
    pub(crate) now: i64,
}

/// A page on its way out.
#[derive(Debug)]
pub(crate) struct Rendering {
    page: Arc<Page>,
    view: View,
    family: usize,
    chunk: usize,
    slot: usize,
    /// Whether the family has been introduced.
    introduced: bool,
    ended: bool,
}

impl Format {
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Rendering {
    pub(crate) fn new(page: Arc<Page>, view: View) -> Self {
        Self {
            page,
            view,
            family: 0,
            chunk: 0,
            slot: 0,
            introduced: false,
            ended: false,
        }
    }

    /// Appends to `out` until it is at least `length` long or the page ends;
    /// `false` if it has ended.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, length: usize) -> bool {
        let page = Arc::clone(&self.page);
        while let Some(family) = page.families.get(self.family) {
            while let Some(chunk) = family.chunks.get(self.chunk) {
                while self.slot < chunk.len() {
                    if out.len() >= length {
                        return true;
                    }
                    self.series(&family.name, chunk, out);
                    self.slot += 1;
                }
                self.slot = 0;
                self.chunk += 1;
            }
            self.chunk = 0;
            self.introduced = false;
            self.family += 1;
        }
        if !self.ended && self.view.format == Format::OpenMetrics {
            out.extend_from_slice(b"# EOF\n");
        }
        self.ended = true;
        false
    }

    fn series(&mut self, family: &str, chunk: &Chunk, out: &mut Vec<u8>) {
        let sample = chunk.samples()[self.slot];
        if has_expired(&sample, self.view.now, self.view.expiration_ms) {
            return;
        }
        if !self.introduced {
            introduce(family, out);
            self.introduced = true;
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
        self.value(&sample, out);
        out.push(b'\n');
    }

    fn value(&self, sample: &Sample, out: &mut Vec<u8>) {
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
        if !self.view.send_timestamps {
            return;
        }
        out.push(b' ');
        let mut buffer = itoa::Buffer::new();
        match self.view.format {
            Format::Text => out.extend_from_slice(buffer.format(sample.time).as_bytes()),
            Format::OpenMetrics => seconds(sample.time, out),
        }
    }
}

fn introduce(family: &str, out: &mut Vec<u8>) {
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

fn seconds(millis: i64, out: &mut Vec<u8>) {
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
