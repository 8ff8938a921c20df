//! Up to a thousand series of one family, stored compactly.
//!
//! A label that a series shares with its predecessor is stored once. The latest
//! samples lie apart from the labels, so that a new sample of a series that is
//! known copies no text.
//!
//! Knows nothing of time limits, formats and files.

use std::sync::Arc;

use super::text::SeriesText;

/// How many series a chunk holds at most: enough to share labels, and few
/// enough that copying one while it is shown costs nothing to speak of.
pub(crate) const CAPACITY: usize = 1024;

/// A label text longer than this in all ends a chunk early.
const MAX_TEXT: usize = 4 << 20;

/// The latest sample of a series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) value: f64,
    /// When it was measured, in milliseconds since the epoch.
    pub(crate) time: i64,
    /// When it arrived, likewise.
    pub(crate) seen: i64,
}

/// Series and their latest samples. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chunk {
    labels: Arc<LabelBlock>,
    samples: Vec<Sample>,
}

/// The labels of the series of a chunk.
#[derive(Debug, Clone, Default)]
struct LabelBlock {
    /// Each different label, `name="value"`.
    text: String,
    /// Where each of them ends.
    ends: Vec<u32>,
    /// Which of them a series has, series after series.
    codes: Vec<u32>,
    /// Where the codes of each series end.
    series: Vec<u32>,
}

impl Chunk {
    pub(crate) fn len(&self) -> usize {
        self.samples.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= CAPACITY || self.labels.text.len() > MAX_TEXT
    }

    pub(crate) fn samples(&self) -> &[Sample] {
        &self.samples
    }

    pub(crate) fn sample_mut(&mut self, slot: usize) -> &mut Sample {
        &mut self.samples[slot]
    }

    /// Adds a series.
    pub(crate) fn push(&mut self, text: &SeriesText, sample: Sample) {
        Arc::make_mut(&mut self.labels).push(text);
        self.samples.push(sample);
    }

    /// Whether the series at `slot` has exactly these labels.
    pub(crate) fn is(&self, slot: usize, text: &SeriesText) -> bool {
        let mut rest = text.joined_labels();
        for label in self.labels(slot) {
            let Some(after) = rest.strip_prefix(label) else {
                return false;
            };
            rest = after;
        }
        rest.is_empty()
    }

    /// The labels of the series at `slot`.
    pub(crate) fn labels(&self, slot: usize) -> impl ExactSizeIterator<Item = &str> {
        let codes = self.labels.codes(slot);
        codes.iter().map(|&code| self.labels.label(code as usize))
    }
}

impl LabelBlock {
    fn push(&mut self, text: &SeriesText) {
        let before = self.series.len().checked_sub(1);
        let before = before.map_or(0..0, |slot| self.range(slot));
        for (position, label) in text.labels().enumerate() {
            let likely = before.clone().nth(position);
            let likely = likely.map(|at| self.codes[at]);
            let code = match likely {
                Some(code) if self.label(code as usize) == label => code,
                Some(_) | None => self.add(label),
            };
            self.codes.push(code);
        }
        self.series.push(self.codes.len() as u32);
    }

    fn add(&mut self, label: &str) -> u32 {
        self.text.push_str(label);
        self.ends.push(self.text.len() as u32);
        self.ends.len() as u32 - 1
    }

    fn label(&self, code: usize) -> &str {
        let start = code.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start as usize..self.ends[code] as usize]
    }

    fn codes(&self, slot: usize) -> &[u32] {
        &self.codes[self.range(slot)]
    }

    fn range(&self, slot: usize) -> std::ops::Range<usize> {
        let start = slot.checked_sub(1).map_or(0, |before| self.series[before]);
        start as usize..self.series[slot] as usize
    }
}
