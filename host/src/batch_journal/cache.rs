//! Decoded batches, shared by the exporters that keep up with the journal.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::batch::{Seq, StoredBatch};

/// Holds the newest batches, up to `max_bytes`. The oldest are evicted first: an
/// exporter that lags reads from the journal, and does not evict what the other
/// exporters read.
pub(super) struct BatchCache {
    max_bytes: u64,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    batches: BTreeMap<Seq, CachedBatch>,
    bytes: u64,
}

struct CachedBatch {
    batch: Arc<StoredBatch>,
    /// The memory that it keeps.
    bytes: u64,
}

/// What an entry costs in addition to its rows: the header, and its place in the map.
const ENTRY_BYTES: u64 = 512;

impl BatchCache {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            entries: Mutex::default(),
        }
    }

    pub(super) fn get(&self, seq: Seq) -> Option<Arc<StoredBatch>> {
        let entries = self.lock();
        entries
            .batches
            .get(&seq)
            .map(|cached| Arc::clone(&cached.batch))
    }

    pub(super) fn insert(&self, batch: Arc<StoredBatch>) {
        let seq = batch.seq;
        let bytes = batch.held_bytes() + ENTRY_BYTES;
        let mut entries = self.lock();
        entries.bytes += bytes;
        if let Some(replaced) = entries.batches.insert(seq, CachedBatch { batch, bytes }) {
            entries.bytes -= replaced.bytes;
        }
        while entries.bytes > self.max_bytes {
            let Some((_, oldest)) = entries.batches.pop_first() else {
                return;
            };
            entries.bytes -= oldest.bytes;
        }
    }

    pub(super) fn clear(&self) {
        *self.lock() = Entries::default();
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
