//! Decoded batches, shared by the exporters that keep up with the journal.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use arrow_array::RecordBatch;
use uuid::Uuid;

use crate::{
    batch::{Header, PayloadPool, PayloadSlot, ReadBatch, Seq, StoredBatch},
    journal::AppendObserver,
    memory::{MemoryBudget, ReclaimableMemory},
};

/// Holds the newest batches with their payloads as long as an exporter needs them and nothing else
/// needs their memory. The oldest are released first: an exporter that lags reads from the journal,
/// and does not evict what the other exporters read.
pub(super) struct BatchCache {
    payloads: Arc<PayloadPool>,
    batches: Mutex<BTreeMap<Seq, Arc<StoredBatch>>>,
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

impl BatchCache {
    pub(super) fn new(budget: &Arc<MemoryBudget>) -> Arc<Self> {
        let cache = Arc::new(Self {
            payloads: PayloadPool::new(budget),
            batches: Mutex::default(),
            announced: Mutex::default(),
        });
        let as_memory: Weak<dyn ReclaimableMemory> = Arc::<Self>::downgrade(&cache);
        budget.add_reclaimable(as_memory);
        cache
    }

    pub(super) fn payloads(&self) -> &Arc<PayloadPool> {
        &self.payloads
    }

    pub(super) fn get(&self, seq: Seq) -> Option<ReadBatch> {
        self.lock().get(&seq).cloned().map(ReadBatch::new)
    }

    /// Adds a batch, and returns the one to use: another exporter may have added it before.
    /// Without memory, the batch is not kept.
    pub(super) fn insert(&self, batch: StoredBatch) -> Arc<StoredBatch> {
        let mut batches = self.lock();
        // After damage, a new batch can have the sequence number of a lost one.
        let is_same = |cached: &&Arc<StoredBatch>| cached.header.batch_id == batch.header.batch_id;
        if let Some(cached) = batches.get(&batch.seq).filter(is_same) {
            return Arc::clone(cached);
        }
        let batch = Arc::new(batch);
        if self.payloads.budget().is_exceeded() {
            return batch;
        }
        batch.payload.share();
        let replaced = batches.insert(batch.seq, Arc::clone(&batch));
        drop(batches);
        release(replaced);
        self.trim();
        batch
    }

    /// Makes the rows of a batch known before it is in the journal, for the cache and for exporters that read it
    /// at that moment.
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
        let mut batches = self.lock();
        let mut evicted = Vec::new();
        while let Some(oldest) = batches.first_entry().filter(|first| *first.key() < end) {
            evicted.push(oldest.remove());
        }
        // The memory is freed after the lock is released.
        drop(batches);
        release(evicted);
    }

    /// Releases the oldest batches beyond the memory of caches, but not the newest one.
    fn trim(&self) {
        while self.payloads.budget().is_cache_full() && self.lock().len() > 1 {
            self.release_one();
        }
    }

    pub(super) fn clear(&self) {
        let evicted = std::mem::take(&mut *self.lock());
        release(evicted.into_values());
    }

    fn announced(&self) -> MutexGuard<'_, Announced> {
        self.announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Seq, Arc<StoredBatch>>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AppendObserver for BatchCache {
    fn appended(&self, batch_id: Uuid, seq: Seq) {
        let announced = self.announced().get(&batch_id).cloned();
        if let Some((header, batch)) = announced {
            self.insert(batch.stored(seq, header));
        }
    }
}

impl ReclaimableMemory for BatchCache {
    fn release_one(&self) -> bool {
        let oldest = self.lock().pop_first();
        let is_released = oldest.is_some();
        release(oldest.map(|(_, batch)| batch));
        is_released
    }
}

/// Batches are not in the cache any more, and others do not ask for their payloads.
fn release(batches: impl IntoIterator<Item = Arc<StoredBatch>>) {
    for batch in batches {
        batch.payload.unshare();
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
    use crate::memory::{MemoryPart, RequestBytes};

    fn batch(seq: u64, cache: &BatchCache) -> StoredBatch {
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
        let payload = cache.payloads().slot();
        StoredBatch::new(Seq(seq), header, rows.as_arrow().clone(), payload)
    }

    #[test]
    fn exporters_that_add_the_same_batch_share_the_first_and_a_new_one_replaces_it() {
        let cache = BatchCache::new(&MemoryBudget::new(u64::MAX));
        let first = cache.insert(batch(1, &cache));
        assert!(Arc::ptr_eq(&cache.insert(batch(1, &cache)), &first));
        let mut other = batch(1, &cache);
        other.header.batch_id = Uuid::nil();
        let other = cache.insert(other);
        assert!(std::ptr::eq(&*cache.get(Seq(1)).unwrap(), &*other));
    }

    #[test]
    fn a_batch_has_its_rows_while_it_is_appended() {
        let cache = BatchCache::new(&MemoryBudget::new(u64::MAX));
        let appended = batch(1, &cache);
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
        let cache = BatchCache::new(&MemoryBudget::new(u64::MAX));
        for seq in 1..=3 {
            cache.insert(batch(seq, &cache));
        }
        cache.evict_before(Seq(3));
        assert!(cache.get(Seq(2)).is_none() && cache.get(Seq(3)).is_some());
    }

    #[test]
    fn the_oldest_batches_and_their_payloads_give_their_memory_back() {
        let one = batch(1, &BatchCache::new(&MemoryBudget::new(u64::MAX)));
        let size = one.held_bytes();
        let budget = MemoryBudget::new(16 * size);
        let cache = BatchCache::new(&budget);
        let batches: Vec<_> = (1..=3)
            .map(|seq| cache.insert(batch(seq, &cache)))
            .collect();
        let payload = |batch: &StoredBatch| batch.payload.of_batch(&batch.arrow).unwrap();
        assert!(batches.iter().all(|batch| payload(batch).is_some()));
        let seqs = || cache.lock().keys().map(|seq| seq.0).collect::<Vec<_>>();
        assert_eq!(seqs(), [1, 2, 3]);
        drop(batches);
        // With their payloads, they have more than a quarter of the memory.
        cache.insert(batch(4, &cache));
        assert_eq!(seqs(), [3, 4]);
        let used = budget.used(MemoryPart::Cache);
        assert!(used > 3 * size && used <= 4 * size, "{used} of {size}");
        let mut request = RequestBytes::new(&budget);
        assert!(request.resize(13 * size, 13 * size));
        assert_eq!(seqs(), [4]);
    }

    #[test]
    fn a_batch_without_memory_is_not_kept() {
        let cache = BatchCache::new(&MemoryBudget::new(0));
        cache.insert(batch(1, &cache));
        assert!(cache.get(Seq(1)).is_none());
    }
}
