//! The latest sample of every series.
//!
//! Promises: each series is stored once, with the sample that was measured last. A
//! [`PageSnapshot`] shows the whole store at one moment, with complete batches, and
//! never changes afterwards. Store and snapshots share chunks by reference count: a
//! chunk that a snapshot still uses is copied when it changes (copy on write), so
//! neither a batch nor a scrape waits for the other.
//!
//! Knows nothing of formats, files and connections.

use std::{collections::BTreeMap, hash::BuildHasher, sync::Arc};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::chunk::{LatestSample, SeriesChunk};
use crate::page::encode::{SeriesIdentity, SeriesText};

#[derive(Debug)]
pub(super) struct SampleStore {
    families: Vec<MetricFamily>,
    by_name: BTreeMap<Arc<str>, u32>,
    /// In the order in which they were added. The index is the series' number.
    series: Vec<StoredSeries>,
    /// Numbers of series by the hash of their text. The text itself is in the chunks.
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The number of the series that probably comes next.
    likely: u32,
    expiration_ms: i64,
}

#[derive(Debug, Default)]
pub struct PageSnapshot {
    /// Sorted by name.
    pub families: Vec<MetricFamily>,
}

#[derive(Debug, Clone)]
pub struct MetricFamily {
    pub name: Arc<str>,
    pub chunks: Vec<Arc<SeriesChunk>>,
}

/// The location of a series, which never changes in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SeriesSlot {
    family: u32,
    chunk: u32,
    index: u32,
}

/// What [`SampleStore::put`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PutResult {
    Added(SeriesSlot),
    /// The series with this number has a new sample.
    Replaced {
        number: u32,
    },
    /// Ignored: the series has a later sample.
    Older,
}

#[derive(Debug, Clone, Copy)]
struct StoredSeries {
    hash: u64,
    slot: SeriesSlot,
    /// Of the series that has the latest sample.
    identity: SeriesIdentity,
}

impl SampleStore {
    pub(super) fn new(expiration_ms: i64) -> Self {
        Self {
            families: Vec::new(),
            by_name: BTreeMap::new(),
            series: Vec::new(),
            numbers: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            likely: 0,
            expiration_ms,
        }
    }

    /// The number of series, including expired ones.
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    /// Adds a sample, unless the series has a later one. A later one that has expired
    /// is replaced: otherwise a device whose clock was ahead for a while would freeze
    /// its series until that time comes.
    ///
    /// Also returns the identity of another series that has the same text, whose place the
    /// series takes.
    pub(super) fn put(
        &mut self,
        text: &SeriesText,
        sample: LatestSample,
    ) -> (PutResult, Option<SeriesIdentity>) {
        let number = match self.find(text) {
            Ok(number) => number,
            Err(hash) => return (PutResult::Added(self.add(hash, text, sample)), None),
        };
        self.likely = number + 1;
        let StoredSeries { slot, identity, .. } = &mut self.series[number as usize];
        let (slot, other) = (*slot, std::mem::replace(identity, text.identity()));
        let is_other = other != SeriesIdentity::Unknown && other != text.identity();
        let other = is_other.then_some(other);
        let known = self.chunk(slot).samples()[slot.index as usize];
        if sample.time < known.time && !has_expired(&known, sample.seen, self.expiration_ms) {
            return (PutResult::Older, other);
        }
        self.set(slot, sample);
        (PutResult::Replaced { number }, other)
    }

    pub(super) fn set(&mut self, slot: SeriesSlot, sample: LatestSample) {
        let chunk = &mut self.families[slot.family as usize].chunks[slot.chunk as usize];
        *Arc::make_mut(chunk).sample_mut(slot.index as usize) = sample;
    }

    pub(super) fn count_expired(&self, now: i64) -> usize {
        let chunks = self.families.iter().flat_map(|family| &family.chunks);
        let samples = chunks.flat_map(|chunk| chunk.samples());
        samples
            .filter(|sample| has_expired(sample, now, self.expiration_ms))
            .count()
    }

    /// The latest time of arrival, in milliseconds since the Unix epoch.
    pub(super) fn latest_arrival(&self) -> Option<i64> {
        let chunks = self.families.iter().flat_map(|family| &family.chunks);
        let samples = chunks.flat_map(|chunk| chunk.samples());
        samples.map(|sample| sample.seen).max()
    }

    pub(super) fn page(&self) -> PageSnapshot {
        let families = self.by_name.values();
        PageSnapshot {
            families: families
                .map(|&family| self.families[family as usize].clone())
                .collect(),
        }
    }

    /// The number of a series, or the hash to add it under.
    fn find(&self, text: &SeriesText) -> Result<u32, u64> {
        // A storage usually reports its series in the same order each time, so the
        // series after the last one is tried first. Most lookups need no hash.
        let likely = self.series.get(self.likely as usize);
        if likely.is_some_and(|series| self.is_at(series.slot, text)) {
            return Ok(self.likely);
        }
        let hash = self.hasher.hash_one((text.family(), text.joined_labels()));
        let found = self.numbers.find(hash, |&number| {
            let series = self.series[number as usize];
            series.hash == hash && self.is_at(series.slot, text)
        });
        found.copied().ok_or(hash)
    }

    fn is_at(&self, slot: SeriesSlot, text: &SeriesText) -> bool {
        let family = &self.families[slot.family as usize];
        *family.name == *text.family() && self.chunk(slot).has_labels(slot.index as usize, text)
    }

    fn chunk(&self, slot: SeriesSlot) -> &SeriesChunk {
        &self.families[slot.family as usize].chunks[slot.chunk as usize]
    }

    fn add(&mut self, hash: u64, text: &SeriesText, sample: LatestSample) -> SeriesSlot {
        let family = match self.by_name.get(text.family()) {
            Some(&family) => family,
            None => self.add_family(text.family()),
        };
        let chunks = &mut self.families[family as usize].chunks;
        if chunks.last().is_none_or(|chunk| chunk.is_full()) {
            chunks.push(Arc::default());
        }
        let last = chunks.len() - 1;
        let chunk = Arc::make_mut(&mut chunks[last]);
        let slot = SeriesSlot {
            family,
            chunk: last as u32,
            index: chunk.len() as u32,
        };
        chunk.push(text, sample);
        let number = self.series.len() as u32;
        let identity = text.identity();
        self.series.push(StoredSeries {
            hash,
            slot,
            identity,
        });
        let series = &self.series;
        self.numbers
            .insert_unique(hash, number, |&number| series[number as usize].hash);
        slot
    }

    fn add_family(&mut self, name: &str) -> u32 {
        let name: Arc<str> = name.into();
        let family = self.families.len() as u32;
        self.families.push(MetricFamily {
            name: Arc::clone(&name),
            chunks: Vec::new(),
        });
        self.by_name.insert(name, family);
        family
    }
}

impl PageSnapshot {
    /// Each series that has not expired: its family, its chunk, its slot in the chunk,
    /// and its latest sample.
    pub fn series(
        &self,
        now: i64,
        expiration_ms: i64,
    ) -> impl Iterator<Item = (&MetricFamily, &SeriesChunk, usize, &LatestSample)> {
        let chunks = self.families.iter().flat_map(|family| {
            let chunks = family.chunks.iter();
            chunks.map(move |chunk| (family, &**chunk))
        });
        chunks.flat_map(move |(family, chunk)| {
            let samples = chunk.samples().iter().enumerate();
            samples
                .filter(move |(_, sample)| !has_expired(sample, now, expiration_ms))
                .map(move |(slot, sample)| (family, chunk, slot, sample))
        })
    }
}

/// Whether a sample arrived too long ago to be shown.
pub fn has_expired(sample: &LatestSample, now: i64, expiration_ms: i64) -> bool {
    now.saturating_sub(sample.seen) > expiration_ms
}
