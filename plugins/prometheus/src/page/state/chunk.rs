//! Up to a thousand series of one family, stored compactly.
//!
//! A chunk keeps labels and samples apart. Labels never change, so chunks share
//! them by reference: when a page still reads a chunk, a new sample copies only the
//! samples. A label that a series shares with the one before it is stored once.
//!
//! Knows nothing of time limits, formats and files.

use std::sync::Arc;

use crate::page::encode::SeriesText;

/// Series per chunk: enough to share labels, and few enough to copy a chunk quickly
/// while a scrape reads it.
pub const CAPACITY: usize = 1024;

/// Bytes of label text after which a chunk is full.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// The latest sample of a series.
#[derive(Debug, Clone, Copy)]
pub struct LatestSample {
    pub value: f64,
    /// Time of measurement, in milliseconds since the Unix epoch.
    pub time: i64,
    /// Time of arrival, from [`PageClock`](super::PageClock).
    pub seen: i64,
}

/// Series and their latest samples. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct SeriesChunk {
    labels: Arc<LabelBlock>,
    samples: Vec<LatestSample>,
}

/// The labels of the series of a chunk: each series is a list of codes, and a code
/// is the index of a label in `text`.
#[derive(Debug, Clone, Default)]
struct LabelBlock {
    /// All labels, `name="value"`, one after the other.
    text: String,
    /// The end of each label in `text`.
    ends: Vec<u32>,
    /// The codes of all series, one after the other.
    codes: Vec<u32>,
    /// The end of each series in `codes`.
    series: Vec<u32>,
}

impl SeriesChunk {
    pub(crate) fn len(&self) -> usize {
        self.samples.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= CAPACITY || self.labels.text.len() > MAX_TEXT_BYTES
    }

    pub(crate) fn samples(&self) -> &[LatestSample] {
        &self.samples
    }

    pub(super) fn sample_mut(&mut self, slot: usize) -> &mut LatestSample {
        &mut self.samples[slot]
    }

    pub(super) fn push(&mut self, text: &SeriesText, sample: LatestSample) {
        Arc::make_mut(&mut self.labels).push(text);
        self.samples.push(sample);
    }

    /// Whether the series at `slot` has exactly these labels.
    pub(super) fn has_labels(&self, slot: usize, text: &SeriesText) -> bool {
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
            // Neighbours usually share most labels, at the same positions. Only that
            // position is compared: a search would cost more than it saves.
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
