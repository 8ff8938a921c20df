//! The memory of batches on their way through the host, and its limit `memory.max`.
//!
//! Half of the memory is for requests and half for exporters, so that neither waits for the other.
//! Decoded batches that no exporter uses take a quarter of it at most, and give it
//! back when it is needed.
//! Three things may go beyond the limit, so that everything makes progress: one request at a time, the
//! one batch that each exporter may always have, and a single allocation that is already made.
//!
//! Knows nothing of what the memory holds.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

/// What memory is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryPart {
    /// Bodies, and batches until they are durable.
    Requests,
    /// Batches that exporters have read, also ahead.
    Exporters,
    /// Batches, and their encoded form, that no exporter uses now.
    Cache,
}

/// Gives memory back.
pub trait ReclaimableMemory: Send + Sync {
    /// Releases something. Returns false if nothing is left.
    fn release_one(&self) -> bool;
}

/// The memory that is used, and its limit.
pub struct MemoryBudget {
    limit: u64,
    used: Mutex<UsedMemory>,
    /// Told whenever a request needs less memory.
    freed: Notify,
    /// What gives memory back, in this order.
    reclaimable: Mutex<Vec<Weak<dyn ReclaimableMemory>>>,
}

#[derive(Debug, Default)]
struct UsedMemory {
    requests: u64,
    /// Of the one request that goes beyond the memory of requests.
    beyond: Option<u64>,
    exporters: u64,
    cache: u64,
}

/// The memory of one request, until it is dropped.
#[derive(Debug)]
pub struct RequestBytes {
    budget: Arc<MemoryBudget>,
    bytes: u64,
    is_beyond: bool,
}

/// The memory of one batch, which counts once however many exporters use it.
#[derive(Debug)]
pub struct BatchBytes {
    budget: Arc<MemoryBudget>,
    bytes: u64,
    readers: AtomicUsize,
}

impl MemoryPart {
    pub const ALL: [Self; 3] = [Self::Requests, Self::Exporters, Self::Cache];

    /// As a label of metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Exporters => "exporters",
            Self::Cache => "cache",
        }
    }
}

impl UsedMemory {
    fn total(&self) -> u64 {
        self.requests + self.beyond.unwrap_or_default() + self.exporters + self.cache
    }
}

impl MemoryBudget {
    #[must_use]
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: Mutex::default(),
            freed: Notify::new(),
            reclaimable: Mutex::default(),
        })
    }

    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// The part of the memory that is for requests; as much is for exporters.
    #[must_use]
    pub fn share(&self) -> u64 {
        self.limit / 2
    }

    /// Whether batches that no exporter uses have more than a quarter of the memory: exporters that lag by
    /// more read their batches from the journal, and those that keep up need little.
    #[must_use]
    pub fn is_cache_full(&self) -> bool {
        self.lock().cache > self.limit / 4
    }

    /// The bytes that are used for something.
    #[must_use]
    pub fn used(&self, part: MemoryPart) -> u64 {
        let used = self.lock();
        match part {
            MemoryPart::Requests => used.requests + used.beyond.unwrap_or_default(),
            MemoryPart::Exporters => used.exporters,
            MemoryPart::Cache => used.cache,
        }
    }

    /// Whether more is used than there is.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.lock().total() > self.limit
    }

    /// Whether an exporter with so many bytes may read another batch: as long as at least as much
    /// is left for others. So exporters that hang leave memory to those that do not.
    #[must_use]
    pub fn has_room_for_exporter(&self, bytes: u64) -> bool {
        let left = self.share().saturating_sub(self.lock().exporters);
        bytes < left
    }

    /// Adds memory that is released under pressure, after what was added before.
    pub fn add_reclaimable(&self, memory: Weak<dyn ReclaimableMemory>) {
        let mut reclaimable = self
            .reclaimable
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        reclaimable.push(memory);
    }

    /// Waits until a request may need less memory than when this was called.
    pub fn freed(&self) -> tokio::sync::futures::Notified<'_> {
        self.freed.notified()
    }

    /// Makes room for so many bytes if it can, and changes what is used.
    fn change<T>(&self, more: u64, change: impl FnOnce(&mut UsedMemory) -> T) -> T {
        let mut can_reclaim = more > 0;
        loop {
            let mut used = self.lock();
            if !can_reclaim || used.total().saturating_add(more) <= self.limit {
                return change(&mut used);
            }
            // What is released needs the lock.
            drop(used);
            can_reclaim = self.reclaim();
        }
    }

    /// Has something give memory back. Returns false if nothing can.
    fn reclaim(&self) -> bool {
        let reclaimable = self
            .reclaimable
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut living = reclaimable.iter().filter_map(Weak::upgrade);
        living.any(|memory| memory.release_one())
    }

    fn lock(&self) -> MutexGuard<'_, UsedMemory> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryBudget")
            .field("limit", &self.limit)
            .field("used", &*self.lock())
            .finish_non_exhaustive()
    }
}

impl RequestBytes {
    #[must_use]
    pub fn new(budget: &Arc<MemoryBudget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            bytes: 0,
            is_beyond: false,
        }
    }

    #[must_use]
    pub fn budget(&self) -> &Arc<MemoryBudget> {
        &self.budget
    }

    /// Whether this is the one request that may use as much as it needs.
    #[must_use]
    pub fn is_beyond(&self) -> bool {
        self.is_beyond
    }

    /// Changes the size, if all requests then use at most `ceiling`, or if no other one goes
    /// beyond: requests that wait for each other's memory would never end.
    pub fn resize(&mut self, bytes: u64, ceiling: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let was_beyond = self.is_beyond;
        let resized = self.budget.change(more, |used| {
            let others = used.requests - if self.is_beyond { 0 } else { self.bytes };
            let fits = others.saturating_add(bytes) <= ceiling || (more == 0 && !self.is_beyond);
            if !fits && !self.is_beyond && used.beyond.is_some() {
                return false;
            }
            used.requests = others + if fits { bytes } else { 0 };
            if !fits {
                used.beyond = Some(bytes);
            } else if self.is_beyond {
                used.beyond = None;
            }
            self.is_beyond = !fits;
            true
        });
        if resized {
            self.bytes = bytes;
            if more == 0 || was_beyond || self.is_beyond {
                self.budget.freed.notify_waiters();
            }
        }
        resized
    }
}

impl Drop for RequestBytes {
    fn drop(&mut self) {
        let mut used = self.budget.lock();
        if self.is_beyond {
            used.beyond = None;
        } else {
            used.requests -= self.bytes;
        }
        drop(used);
        self.budget.freed.notify_waiters();
    }
}

impl BatchBytes {
    /// The memory of a batch that is in memory already.
    #[must_use]
    pub fn new(budget: &Arc<MemoryBudget>, bytes: u64) -> Self {
        budget.change(bytes, |used| used.cache += bytes);
        Self {
            budget: Arc::clone(budget),
            bytes,
            readers: AtomicUsize::new(0),
        }
    }

    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// An exporter uses the batch.
    pub fn add_reader(&self) {
        let mut used = self.budget.lock();
        if self.readers.fetch_add(1, Ordering::Relaxed) == 0 {
            used.cache -= self.bytes;
            used.exporters += self.bytes;
        }
    }

    /// An exporter does not use the batch any more.
    pub fn remove_reader(&self) {
        let mut used = self.budget.lock();
        if self.readers.fetch_sub(1, Ordering::Relaxed) == 1 {
            used.exporters -= self.bytes;
            used.cache += self.bytes;
        }
    }
}

impl Drop for BatchBytes {
    fn drop(&mut self) {
        let mut used = self.budget.lock();
        if *self.readers.get_mut() == 0 {
            used.cache -= self.bytes;
        } else {
            used.exporters -= self.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches that are released one by one, the oldest first.
    #[derive(Default)]
    struct Cache(Mutex<Vec<BatchBytes>>);

    impl ReclaimableMemory for Cache {
        fn release_one(&self) -> bool {
            let mut batches = self.0.lock().unwrap();
            let oldest = (!batches.is_empty()).then(|| batches.remove(0));
            oldest.is_some()
        }
    }

    fn used(budget: &MemoryBudget) -> [u64; 3] {
        MemoryPart::ALL.map(|part| budget.used(part))
    }

    #[test]
    fn caches_give_back_what_others_need_and_no_more() {
        let budget = MemoryBudget::new(100);
        let (first, second) = (Arc::new(Cache::default()), Arc::new(Cache::default()));
        for cache in [&first, &second] {
            let as_memory: Weak<dyn ReclaimableMemory> = Arc::downgrade(cache) as _;
            budget.add_reclaimable(as_memory);
            let batches = (0..5).map(|_| BatchBytes::new(&budget, 10));
            let batches: Vec<_> = batches.collect();
            cache.0.lock().unwrap().extend(batches);
        }
        assert_eq!(used(&budget), [0, 0, 100]);
        let mut request = RequestBytes::new(&budget);
        assert!(request.resize(15, 50));
        assert_eq!(used(&budget), [15, 0, 80]);
        let batch = BatchBytes::new(&budget, 35);
        batch.add_reader();
        assert_eq!(used(&budget), [15, 35, 50]);
        let caches = [&first, &second].map(|cache| cache.0.lock().unwrap().len());
        assert_eq!(caches, [0, 5]);
        drop((request, batch));
        assert_eq!(used(&budget), [0, 0, 50]);
    }

    #[test]
    fn one_request_at_a_time_goes_beyond_and_the_others_keep_their_memory() {
        let budget = MemoryBudget::new(100);
        let [mut first, mut second, mut third] = [(); 3].map(|()| RequestBytes::new(&budget));
        assert!(first.resize(500, 50));
        assert!(first.is_beyond());
        assert!(second.resize(50, 50));
        assert!(!second.resize(51, 50) && !third.resize(1, 50));
        assert_eq!(used(&budget), [550, 0, 0]);
        // As soon as it fits, another one may go beyond.
        drop(second);
        assert!(first.resize(20, 50));
        assert!(!first.is_beyond());
        assert!(third.resize(31, 50) && third.is_beyond());
        drop(third);
        assert!(first.resize(60, 50) && first.is_beyond());
        drop(first);
        assert_eq!(used(&budget), [0, 0, 0]);
    }

    #[test]
    fn a_request_that_needs_less_is_never_refused() {
        let budget = MemoryBudget::new(100);
        let [mut first, mut second] = [(); 2].map(|()| RequestBytes::new(&budget));
        assert!(first.resize(50, 50) && second.resize(60, 50));
        assert!(first.resize(45, 40));
        assert!(!first.is_beyond());
    }

    #[test]
    fn requests_that_want_more_than_there_is_all_end() {
        let budget = MemoryBudget::new(20);
        let mut requests: Vec<_> = (0..5).map(|_| RequestBytes::new(&budget)).collect();
        assert!(requests.iter_mut().all(|request| request.resize(2, 10)));
        // Each wants what the others have.
        while !requests.is_empty() {
            let before = requests.len();
            requests.retain_mut(|request| !request.resize(9, 10));
            assert!(requests.len() < before);
        }
        assert_eq!(used(&budget), [0, 0, 0]);
    }

    #[test]
    fn a_batch_counts_once_for_all_exporters() {
        let budget = MemoryBudget::new(100);
        let batch = BatchBytes::new(&budget, 10);
        batch.add_reader();
        batch.add_reader();
        batch.remove_reader();
        assert_eq!(used(&budget), [0, 10, 0]);
        batch.remove_reader();
        assert_eq!(used(&budget), [0, 0, 10]);
        batch.add_reader();
        drop(batch);
        assert_eq!(used(&budget), [0, 0, 0]);
    }

    #[test]
    fn exporters_that_hang_leave_memory_to_the_next() {
        let budget = MemoryBudget::new(128);
        let mut all = Vec::new();
        let most = |all: &mut Vec<BatchBytes>| {
            let mut bytes = 0;
            while budget.has_room_for_exporter(bytes) {
                let batch = BatchBytes::new(&budget, 1);
                batch.add_reader();
                bytes += 1;
                all.push(batch);
            }
            bytes
        };
        let taken: Vec<u64> = (0..4).map(|_| most(&mut all)).collect();
        assert_eq!(taken, [32, 16, 8, 4]);
    }
}
