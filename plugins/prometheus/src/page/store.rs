//! The latest sample of every series.
//!
//! Promises: a series is there once, with the sample that was measured last; a
//! [`Page`] is one moment of the whole store, complete batches only, and stays
//! what it is while the store goes on. What shares nothing with an older page
//! is copied when it changes, so nobody ever waits for a reader.
//!
//! Knows nothing of formats, files and connections.

use std::{collections::BTreeMap, hash::BuildHasher, sync::Arc};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::{
    chunk::{Chunk, Sample},
    text::SeriesText,
};

/// All series, for one writer.
#[derive(Debug)]
pub(crate) struct Store {
    families: Vec<Family>,
    by_name: BTreeMap<Arc<str>, u32>,
    /// By number, in the order in which they were added.
    series: Vec<Entry>,
    /// By hash.
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The number of the series that is likely to be put next.
    likely: u32,
    expiration_ms: i64,
}

/// One moment of a store.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// By name.
    pub(crate) families: Vec<Family>,
}

/// The series of one name.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    pub(crate) name: Arc<str>,
    pub(crate) chunks: Vec<Arc<Chunk>>,
}

/// Where a series is, for as long as the store lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    family: u32,
    chunk: u32,
    slot: u32,
}

/// What [`Store::put`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// The series is new.
    Added(Place),
    /// The series, which was the `number`th from 0, has a new sample.
    Replaced { number: u32 },
    /// The series has a later sample.
    Older,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u64,
    place: Place,
}

impl Store {
    /// A store without series.
    pub(crate) fn new(expiration_ms: i64) -> Self {
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

    /// How many series there are, those that have expired too.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// Takes a sample in, unless the series has a later one. A later one that
    /// has expired does not count: a clock that ran ahead is not obeyed for ever.
    pub(crate) fn put(&mut self, text: &SeriesText, sample: Sample) -> Put {
        let number = match self.find(text) {
            Ok(number) => number,
            Err(hash) => return Put::Added(self.add(hash, text, sample)),
        };
        self.likely = number + 1;
        let place = self.series[number as usize].place;
        let known = self.chunk(place).samples()[place.slot as usize];
        if sample.time < known.time && !has_expired(&known, sample.seen, self.expiration_ms) {
            return Put::Older;
        }
        self.set(place, sample);
        Put::Replaced { number }
    }

    /// Sets the sample of a series that is known.
    pub(crate) fn set(&mut self, place: Place, sample: Sample) {
        let chunk = &mut self.families[place.family as usize].chunks[place.chunk as usize];
        *Arc::make_mut(chunk).sample_mut(place.slot as usize) = sample;
    }

    /// How many series have expired.
    pub(crate) fn expired(&self, now: i64) -> usize {
        let chunks = self.families.iter().flat_map(|family| &family.chunks);
        let samples = chunks.flat_map(|chunk| chunk.samples());
        samples
            .filter(|sample| has_expired(sample, now, self.expiration_ms))
            .count()
    }

    /// The store as it is now.
    pub(crate) fn page(&self) -> Page {
        let families = self.by_name.values();
        Page {
            families: families
                .map(|&family| self.families[family as usize].clone())
                .collect(),
        }
    }

    /// The number of a series, else the hash under which it is to be found.
    fn find(&self, text: &SeriesText) -> Result<u32, u64> {
        // Storages report their series in the same order each time.
        let likely = self.series.get(self.likely as usize);
        if likely.is_some_and(|series| self.is(series.place, text)) {
            return Ok(self.likely);
        }
        let hash = self.hasher.hash_one((text.family(), text.joined_labels()));
        let found = self.numbers.find(hash, |&number| {
            let series = self.series[number as usize];
            series.hash == hash && self.is(series.place, text)
        });
        found.copied().ok_or(hash)
    }

    fn is(&self, place: Place, text: &SeriesText) -> bool {
        let family = &self.families[place.family as usize];
        *family.name == *text.family() && self.chunk(place).is(place.slot as usize, text)
    }

    fn chunk(&self, place: Place) -> &Chunk {
        &self.families[place.family as usize].chunks[place.chunk as usize]
    }

    fn add(&mut self, hash: u64, text: &SeriesText, sample: Sample) -> Place {
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
        let place = Place {
            family,
            chunk: last as u32,
            slot: chunk.len() as u32,
        };
        chunk.push(text, sample);
        let number = self.series.len() as u32;
        self.series.push(Entry { hash, place });
        let series = &self.series;
        self.numbers
            .insert_unique(hash, number, |&number| series[number as usize].hash);
        place
    }

    fn add_family(&mut self, name: &str) -> u32 {
        let name: Arc<str> = name.into();
        let family = self.families.len() as u32;
        self.families.push(Family {
            name: Arc::clone(&name),
            chunks: Vec::new(),
        });
        self.by_name.insert(name, family);
        family
    }
}

impl Page {
    /// Each series that has not expired: its family's name, its labels' place
    /// and its latest sample.
    pub(crate) fn series(
        &self,
        now: i64,
        expiration_ms: i64,
    ) -> impl Iterator<Item = (&Family, &Chunk, usize, &Sample)> {
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

/// Whether a series is too old to be shown.
pub(crate) fn has_expired(sample: &Sample, now: i64, expiration_ms: i64) -> bool {
    now.saturating_sub(sample.seen) > expiration_ms
}
