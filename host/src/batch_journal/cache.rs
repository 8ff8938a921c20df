//! Decoded batches, shared by the exporters that keep up with the journal.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arrow_array::RecordBatch;
use uuid::Uuid;

use crate::batch::{Header, PayloadPool, PayloadSlot, Seq, StoredBatch};

/// Holds the newest batches with their payloads, up to `max_bytes`, as long as an exporter needs them. The
/// oldest are evicted first: an exporter that lags reads from the journal, and does not evict what
/// the other exporters read.
pub(super) struct BatchCache {
    max_bytes: u64,
    payloads: Arc<PayloadPool>,
    entries: Mutex<Entries>,
    /// Batches that are being appended.
    announced: Mutex<Announced>,
}

type Announced = HashMap<Uuid, (Header, AnnouncedBatch)>;

/// The rows of a batch that is being appended, and the place for its payload.
#[derive(Clone)]
pub(super) struct AnnouncedBatch {
    pub(super) arrow: RecordBatch,
    pub(super) payload: Arc<PayloadSlot>,
}

/// Ends the announcement when it is dropped.
pub(super) struct Announcement<'a> {
    cache: &'a BatchCache,
    batch_id: Uuid,
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
            payloads: PayloadPool::new(max_bytes / 2),
            entries: Mutex::default(),
            announced: Mutex::default(),
        }
    }

    pub(super) fn payloads(&self) -> &Arc<PayloadPool> {
        &self.payloads
    }

    pub(super) fn get(&self, seq: Seq) -> Option<Arc<StoredBatch>> {
        let entries = self.lock();
        entries
            .batches
            .get(&seq)
            .map(|cached| Arc::clone(&cached.batch))
    }

    /// Adds a batch, and returns the one to use: another exporter may have added it before.
    pub(super) fn insert(&self, batch: StoredBatch) -> Arc<StoredBatch> {
        let seq = batch.seq;
        let bytes = batch.held_bytes() + ENTRY_BYTES;
        let mut entries = self.lock();
        // After damage, a new batch can have the sequence number of a lost one.
        let is_same = |cached: &&CachedBatch| cached.batch.header.batch_id == batch.header.batch_id;
        if let Some(cached) = entries.batches.get(&seq).filter(is_same) {
            return Arc::clone(&cached.batch);
        }
        let batch = Arc::new(batch);
        batch.payload.share();
        entries.bytes += bytes;
        let cached = CachedBatch {
            batch: Arc::clone(&batch),
            bytes,
        };
        if let Some(replaced) = entries.batches.insert(seq, cached) {
            entries.bytes -= replaced.bytes;
            replaced.batch.payload.unshare();
        }
        while entries.bytes + self.payloads.stats().bytes > self.max_bytes {
            let Some((_, oldest)) = entries.batches.pop_first() else {
                break;
            };
            entries.bytes -= oldest.bytes;
            oldest.batch.payload.unshare();
        }
        batch
    }

    /// Makes the rows of a batch known from before it is in the journal until it is in the
    /// cache, because exporters read it as soon as it is in the journal.
    pub(super) fn announce(&self, header: &Header, batch: AnnouncedBatch) -> Announcement<'_> {
        let batch_id = header.batch_id;
        self.announced().insert(batch_id, (header.clone(), batch));
        Announcement {
            cache: self,
            batch_id,
        }
    }

    /// An announced batch.
    pub(super) fn announced_batch(&self, header: &Header) -> Option<AnnouncedBatch> {
        let announced = self.announced();
        let (found, batch) = announced.get(&header.batch_id)?;
        // A batch that is appended again, and refused, can have other rows.
        (found == header).then(|| batch.clone())
    }

    /// Removes the batches before a record.
    pub(super) fn evict_before(&self, end: Seq) {
        let mut entries = self.lock();
        let mut evicted = Vec::new();
        while let Some(oldest) = entries
            .batches
            .first_entry()
            .filter(|first| *first.key() < end)
        {
            evicted.push(oldest.remove());
        }
        entries.bytes -= evicted.iter().map(|cached| cached.bytes).sum::<u64>();
        // The memory is freed after the lock is released.
        drop(entries);
        for cached in evicted {
            cached.batch.payload.unshare();
        }
    }

    pub(super) fn clear(&self) {
        let entries = std::mem::take(&mut *self.lock());
        for cached in entries.batches.values() {
            cached.batch.payload.unshare();
        }
    }

    fn announced(&self) -> MutexGuard<'_, Announced> {
        self.announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AnnouncedBatch {
    /// The batch, once it is in the journal.
    pub(super) fn stored(self, seq: Seq, header: Header) -> StoredBatch {
        StoredBatch::new(seq, header, self.arrow, self.payload)
    }
}

impl Drop for Announcement<'_> {
    fn drop(&mut self) {
        self.cache.announced().remove(&self.batch_id);
    }
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{Batch, Origin, PerformanceBatchBuilder};

    use super::*;

    fn batch(seq: u64) -> StoredBatch {
        let mut rows = PerformanceBatchBuilder::new();
        let points = (0..1000).map(|time| (time, 0.5));
        rows.series("load", [("unit", "%")], points).unwrap();
        let rows = rows.build();
        let header = Header {
            batch_id: Uuid::from_u128(seq.into()),
            origin: Origin::Ingest,
            storage_id: None,
            complete: false,
            accepted_ms: 0,
            items: rows.items(),
        };
        let payload = PayloadPool::new(0).slot();
        StoredBatch::new(Seq(seq), header, rows.as_arrow().clone(), payload)
    }

    #[test]
    fn exporters_that_add_the_same_batch_share_the_first_and_a_new_one_replaces_it() {
        let cache = BatchCache::new(u64::MAX);
        let first = cache.insert(batch(1));
        assert!(Arc::ptr_eq(&cache.insert(batch(1)), &first));
        let mut other = batch(1);
        other.header.batch_id = Uuid::nil();
        let other = cache.insert(other);
        assert!(Arc::ptr_eq(&cache.get(Seq(1)).unwrap(), &other));
    }

    #[test]
    fn a_batch_has_its_rows_while_it_is_appended() {
        let cache = BatchCache::new(u64::MAX);
        let appended = batch(1);
        let (arrow, payload) = (appended.arrow.clone(), Arc::clone(&appended.payload));
        let announcement = cache.announce(&appended.header, AnnouncedBatch { arrow, payload });
        let announced_rows = |header| cache.announced_batch(header).map(|batch| batch.arrow);
        assert_eq!(
            announced_rows(&appended.header).as_ref(),
            Some(&appended.arrow)
        );
        let earlier = Header {
            accepted_ms: -1,
            ..appended.header.clone()
        };
        assert_eq!(announced_rows(&earlier), None);
        drop(announcement);
        assert_eq!(announced_rows(&appended.header), None);
    }

    #[test]
    fn batches_that_no_exporter_needs_leave_the_cache() {
        let cache = BatchCache::new(u64::MAX);
        for seq in 1..=3 {
            cache.insert(batch(seq));
        }
        cache.evict_before(Seq(3));
        assert!(cache.get(Seq(2)).is_none() && cache.get(Seq(3)).is_some());
        assert_eq!(cache.lock().bytes, batch(3).held_bytes() + ENTRY_BYTES);
    }

    #[test]
    fn payloads_count_for_the_limit_and_an_evicted_batch_loses_its_payload() {
        let size = batch(1).held_bytes() + ENTRY_BYTES;
        let cache = BatchCache::new(5 * size);
        let add = |seq| {
            let mut batch = batch(seq);
            batch.payload = cache.payloads().slot();
            cache.insert(batch)
        };
        let batches: Vec<_> = (1..=4).map(add).collect();
        for batch in &batches {
            let payload = batch.payload.of_batch(&batch.arrow).unwrap();
            assert!(payload.is_some());
        }
        let kept = cache.payloads().stats().bytes;
        assert!(kept > size && kept <= 5 * size / 2, "{kept} of {size}");
        add(5);
        assert!(cache.get(Seq(1)).is_none());
        assert!(cache.get(Seq(5)).is_some());
        assert!(
            batches[0]
                .payload
                .of_batch(&batches[0].arrow)
                .unwrap()
                .is_none()
        );
        assert!(
            batches[3]
                .payload
                .of_batch(&batches[3].arrow)
                .unwrap()
                .is_some()
        );
    }
}
