//! The memory that requests may use together.
//!
//! A request claims memory before it uses it: for its body as it arrives, for the
//! decompressed body, and for the batch. A request that does not fit waits for a moment in the
//! order of arrival, and is then refused, and its memory is free again. One request at a time
//! uses as much as it needs, so a body that is larger than all of the memory is accepted too.
//!
//! A part of the memory is reserved: for small requests, so that large ones do not keep
//! them out, and for alerts and commands.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::Mutex,
    time::{Instant, timeout},
};

use super::IngestError;
use crate::memory::{MemoryBudget, MemoryPart, RequestBytes};

/// A request that claims more is a large one.
const LARGE_BYTES: u64 = 1 << 20;

/// How long a request waits for memory in all. Shorter than the timeouts of usual clients.
const MAX_WAIT: Duration = if cfg!(test) {
    Duration::from_millis(20)
} else {
    Duration::from_secs(2)
};

/// What requests share.
#[derive(Debug)]
pub struct RequestMemory {
    budget: Arc<MemoryBudget>,
    /// The most that one request may need: a limit of what its body can expand to.
    max_request: u64,
    /// Small and large requests for performance batches, and others, wait in turn.
    queues: [Mutex<()>; 4],
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryUse {
    Performance,
    Alerts,
    /// A request that brings no batch.
    Command,
}

/// The memory of one request, until it is dropped.
#[derive(Debug)]
pub struct MemoryClaim {
    shared: Arc<RequestMemory>,
    used_for: MemoryUse,
    /// Whether the body is still on its way.
    receiving: bool,
    /// Whether the thread may wait.
    may_block: bool,
    /// How long the request may still wait.
    patience: Duration,
    memory: RequestBytes,
}

impl RequestMemory {
    /// The memory of requests that need at most `max_request` each.
    #[must_use]
    pub fn new(budget: &Arc<MemoryBudget>, max_request: u64) -> Arc<Self> {
        Arc::new(Self {
            budget: Arc::clone(budget),
            max_request,
            queues: Default::default(),
        })
    }

    /// An empty claim of a request whose body is on its way.
    #[must_use]
    pub fn claim(self: &Arc<Self>, used_for: MemoryUse) -> MemoryClaim {
        MemoryClaim {
            shared: Arc::clone(self),
            used_for,
            receiving: true,
            may_block: false,
            patience: MAX_WAIT,
            memory: RequestBytes::new(&self.budget),
        }
    }

    fn queue(&self, used_for: MemoryUse, bytes: u64) -> &Mutex<()> {
        let is_performance = used_for == MemoryUse::Performance;
        &self.queues[2 * usize::from(is_performance) + usize::from(bytes > LARGE_BYTES)]
    }
}

impl MemoryClaim {
    /// A claim that is never refused.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::of_at_most(u64::MAX)
    }

    /// A claim that is refused only if it needs more.
    #[must_use]
    pub fn of_at_most(bytes: u64) -> Self {
        RequestMemory::new(&MemoryBudget::new(u64::MAX), bytes).claim(MemoryUse::Command)
    }

    /// The body has arrived.
    pub fn end_receiving(&mut self) {
        self.receiving = false;
    }

    /// Whether so much memory is free that a small body does not wait for it.
    #[must_use]
    pub fn is_plentiful(&self) -> bool {
        let budget = &self.shared.budget;
        budget.used(MemoryPart::Requests) <= budget.share() / 2
    }

    /// From now on, [`Self::resize`] may block the thread.
    pub fn block(&mut self) {
        self.may_block = true;
    }

    /// Changes the size of the claim, and waits for memory after those that wait already.
    ///
    /// # Errors
    ///
    /// The memory is in use by other requests, or is more than a request may need.
    pub async fn grow(&mut self, bytes: u64) -> Result<(), IngestError> {
        let shared = Arc::clone(&self.shared);
        let queue = shared.queue(self.used_for, bytes);
        // Those that wait may wait for the request that goes beyond the limit.
        if self.memory.is_beyond() || queue.try_lock().is_ok() {
            let resized = self.try_resize(bytes)?;
            if resized {
                return Ok(());
            }
        }
        self.wait(Some(queue), bytes).await
    }

    /// Changes the size of the claim. Waits for memory if the thread may block.
    ///
    /// # Errors
    ///
    /// As [`Self::grow`].
    pub fn resize(&mut self, bytes: u64) -> Result<(), IngestError> {
        if self.try_resize(bytes)? {
            return Ok(());
        }
        if !self.may_block {
            return Err(IngestError::MemoryInUse);
        }
        Handle::current().block_on(self.wait(None, bytes))
    }

    async fn wait(&mut self, queue: Option<&Mutex<()>>, bytes: u64) -> Result<(), IngestError> {
        let (begin, patience) = (Instant::now(), self.patience);
        let resized = timeout(patience, async {
            let _turn = match queue {
                Some(queue) => Some(queue.lock().await),
                None => None,
            };
            self.resize_when_freed(bytes).await
        });
        let resized = resized.await.unwrap_or(Err(IngestError::MemoryInUse));
        self.patience = patience.saturating_sub(begin.elapsed());
        resized
    }

    async fn resize_when_freed(&mut self, bytes: u64) -> Result<(), IngestError> {
        let budget = Arc::clone(self.memory.budget());
        loop {
            let mut freed = std::pin::pin!(budget.freed());
            freed.as_mut().enable();
            if self.try_resize(bytes)? {
                return Ok(());
            }
            freed.await;
        }
    }

    fn try_resize(&mut self, bytes: u64) -> Result<bool, IngestError> {
        let limit = self.shared.max_request;
        if bytes > limit {
            return Err(IngestError::TooMuchMemory { limit });
        }
        Ok(self.memory.resize(bytes, self.ceiling(bytes)))
    }

    /// Up to how many bytes in use, those of all requests, this one may grow to `bytes`.
    fn ceiling(&self, bytes: u64) -> u64 {
        let small = match self.used_for {
            MemoryUse::Performance => 14,
            MemoryUse::Alerts | MemoryUse::Command => 16,
        };
        // Bodies that have arrived need memory to become batches. Without room for that, bodies
        // that arrive would have them wait.
        let sixteenths = match (bytes > LARGE_BYTES, self.receiving) {
            (false, false) => small,
            (false, true) => small - 2,
            (true, false) => small - 1,
            (true, true) => small - 6,
        };
        (u128::from(self.shared.budget.share()) * sixteenths / 16) as u64
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// A budget with 16 MiB for requests.
    fn requests() -> (Arc<MemoryBudget>, Arc<RequestMemory>) {
        let budget = MemoryBudget::new(32 * MIB);
        let requests = RequestMemory::new(&budget, 64 * MIB);
        (budget, requests)
    }

    /// A request that goes beyond the memory, so that no other one can.
    fn beyond(requests: &Arc<RequestMemory>) -> MemoryClaim {
        let mut claim = requests.claim(MemoryUse::Alerts);
        claim.resize(40 * MIB).unwrap();
        assert!(claim.memory.is_beyond());
        claim
    }

    /// The most that a new claim of this use can get, in MiB.
    fn most(requests: &Arc<RequestMemory>, used_for: MemoryUse, receiving: bool) -> u64 {
        let mut claim = requests.claim(used_for);
        claim.receiving = receiving;
        let fits = |mib: &u64| claim.resize(mib * MIB).is_ok();
        (0..=16).take_while(fits).last().unwrap_or_default()
    }

    #[test]
    fn what_all_requests_claim_stays_within_the_limit_and_is_freed() {
        let (budget, requests) = requests();
        let large = beyond(&requests);
        let mut first = requests.claim(MemoryUse::Alerts);
        let mut second = requests.claim(MemoryUse::Alerts);
        first.end_receiving();
        second.end_receiving();
        first.resize(10 * MIB).unwrap();
        second.resize(5 * MIB).unwrap();
        let refused = second.resize(6 * MIB).unwrap_err();
        assert!(matches!(refused, IngestError::MemoryInUse), "{refused}");
        assert_eq!(budget.used(MemoryPart::Requests), 55 * MIB);
        drop(large);
        assert_eq!(budget.used(MemoryPart::Requests), 15 * MIB);
        first.resize(2 * MIB).unwrap();
        second.resize(13 * MIB).unwrap();
        drop(second);
        assert_eq!(budget.used(MemoryPart::Requests), 2 * MIB);
        drop(first);
        assert_eq!(budget.used(MemoryPart::Requests), 0);
    }

    #[test]
    fn a_request_that_needs_more_than_one_may_is_told_so() {
        let (_, requests) = requests();
        let mut claim = requests.claim(MemoryUse::Performance);
        let refused = claim.resize(64 * MIB + 1).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the body needs more than 67108864 bytes of memory (send smaller batches, or raise \
             `api.max_decompressed_bytes`)"
        );
    }

    #[test]
    fn large_requests_leave_memory_for_small_ones_and_performance_leaves_memory_for_alerts() {
        let (_, requests) = requests();
        let _large = beyond(&requests);
        assert_eq!(most(&requests, MemoryUse::Performance, true), 8);
        assert_eq!(most(&requests, MemoryUse::Performance, false), 13);
        assert_eq!(most(&requests, MemoryUse::Alerts, false), 15);
        let performance = |mib| {
            let mut claim = requests.claim(MemoryUse::Performance);
            claim.end_receiving();
            claim.resize(mib * MIB).map(|()| claim)
        };
        let large = performance(13).unwrap();
        assert!(performance(2).is_err());
        let small = performance(1).unwrap();
        assert!(performance(1).is_err());
        assert_eq!(most(&requests, MemoryUse::Alerts, false), 1);
        assert_eq!(most(&requests, MemoryUse::Command, false), 1);
        drop((large, small));
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_wait_for_memory_in_their_order_and_no_later_one_overtakes_them() {
        let (_, requests) = requests();
        let _large = beyond(&requests);
        let mut first = requests.claim(MemoryUse::Alerts);
        first.grow(10 * MIB).await.unwrap();
        let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
        let mut waiting = JoinSet::new();
        for (number, mib) in [(1, 10), (2, 2), (3, 2)] {
            let (requests, done) = (Arc::clone(&requests), done.clone());
            waiting.spawn(async move {
                let mut claim = requests.claim(MemoryUse::Alerts);
                claim.patience = Duration::from_mins(1);
                claim.grow(mib * MIB).await.unwrap();
                done.send(number).unwrap();
            });
            tokio::task::yield_now().await;
        }
        assert!(order.try_recv().is_err());
        drop(first);
        let found = [order.recv().await, order.recv().await, order.recv().await];
        assert_eq!(found, [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn memory_is_plentiful_until_requests_use_half_of_theirs() {
        let (_, requests) = requests();
        let mut claim = requests.claim(MemoryUse::Performance);
        claim.resize(8 * MIB).unwrap();
        assert!(claim.is_plentiful());
        claim.resize(8 * MIB + 1).unwrap();
        assert!(!claim.is_plentiful());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_waits_for_a_bounded_time_in_all() {
        let (_, requests) = requests();
        let _large = beyond(&requests);
        let mut first = requests.claim(MemoryUse::Alerts);
        first.grow(10 * MIB).await.unwrap();
        let mut second = requests.claim(MemoryUse::Alerts);
        for _ in 0..2 {
            let refused = second.grow(2 * MIB).await.unwrap_err();
            assert!(matches!(refused, IngestError::MemoryInUse), "{refused}");
        }
        assert_eq!(second.patience, Duration::ZERO);
        drop(first);
        second.grow(2 * MIB).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_body_that_is_parsed_waits_in_its_thread() {
        let (_, requests) = requests();
        let _large = beyond(&requests);
        let mut first = requests.claim(MemoryUse::Alerts);
        first.end_receiving();
        first.grow(15 * MIB).await.unwrap();
        let (waits, is_waiting) = tokio::sync::oneshot::channel();
        let parsed = tokio::task::spawn_blocking(move || {
            let mut second = requests.claim(MemoryUse::Alerts);
            second.end_receiving();
            second.block();
            second.patience = Duration::from_mins(10);
            waits.send(()).unwrap();
            second.resize(15 * MIB)
        });
        is_waiting.await.unwrap();
        drop(first);
        parsed.await.unwrap().unwrap();
    }
}
