//! Which bodies are parsed now.
//!
//! A large body is parsed in the long queue. Any other one begins in the short queue; if it
//! uses a processor for longer than a moment, it leaves its place to the next one and goes on in the long
//! queue. So bodies that take long, few or many, delay others by a moment each, and not by
//! the time that they take. In both queues, senders take turns. The queues share the
//! processors.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::runtime::Handle;

use super::{
    IngestError,
    turns::{SenderTurns, TurnPermit},
};
use crate::platform::thread_processor_time;

/// Time of a processor that a body can use in the short queue: enough for a megabyte.
const SHORT_TIME: Duration = Duration::from_millis(25);

/// A body of more bytes is large.
const LARGE_BYTES: usize = 1 << 20;

/// Bodies that left the short queue and wait for the long one, with what was made of them in
/// memory. Further ones are refused.
const MAX_WAITING: usize = 16;

/// The queues of one kind of batch.
#[derive(Clone, Debug)]
pub struct ParseQueues {
    short: Arc<SenderTurns>,
    long: Arc<SenderTurns>,
    waiting: Arc<AtomicUsize>,
}

/// The place of a body in a queue.
#[derive(Debug)]
pub struct QueuePlace {
    queues: ParseQueues,
    sender: IpAddr,
    begin: Instant,
    /// The time of a processor that the thread had used before.
    used_before: Duration,
    queue: ParseQueue,
}

#[derive(Debug)]
enum ParseQueue {
    Short {
        _permit: TurnPermit,
    },
    Long {
        _permit: TurnPermit,
    },
    /// Between the queues.
    None,
}

impl ParseQueues {
    /// Queues in which so many bodies are parsed at a time.
    #[must_use]
    pub fn new(bodies: usize) -> Self {
        Self {
            short: SenderTurns::new(bodies),
            long: SenderTurns::new(bodies),
            waiting: Arc::default(),
        }
    }

    /// Waits for a place for a body of so many bytes.
    pub async fn enter(&self, sender: IpAddr, bytes: usize) -> QueuePlace {
        let queue = if bytes > LARGE_BYTES {
            let permit = self.long.acquire(sender).await;
            ParseQueue::Long { _permit: permit }
        } else {
            let permit = self.short.acquire(sender).await;
            ParseQueue::Short { _permit: permit }
        };
        QueuePlace {
            queues: self.clone(),
            sender,
            begin: Instant::now(),
            used_before: Duration::ZERO,
            queue,
        }
    }
}

impl QueuePlace {
    /// The place of a body that this thread begins to parse.
    pub(super) fn begin(self) -> Self {
        Self {
            used_before: thread_processor_time(),
            ..self
        }
    }

    /// Whether the body has been in the short queue for too long. A wait for a processor does
    /// not count: on a busy machine, small bodies would wait behind the long ones.
    pub(super) fn takes_long(&self) -> bool {
        matches!(self.queue, ParseQueue::Short { .. })
            && self.begin.elapsed() >= SHORT_TIME
            && thread_processor_time().saturating_sub(self.used_before) >= SHORT_TIME
    }

    /// Leaves the short queue, and blocks the thread until the long queue has a place.
    ///
    /// # Errors
    ///
    /// Too many bodies wait for the long queue.
    pub(super) fn go_on_in_long_queue(&mut self) -> Result<(), IngestError> {
        self.queue = ParseQueue::None;
        let long = &self.queues.long;
        if let Some(permit) = long.try_acquire() {
            self.queue = ParseQueue::Long { _permit: permit };
            return Ok(());
        }
        let waiting = &self.queues.waiting;
        if waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(IngestError::TooManyLong);
        }
        // Of the threads for work that blocks, so that no async worker waits here.
        let permit = Handle::current().block_on(long.acquire(self.sender));
        waiting.fetch_sub(1, Ordering::Relaxed);
        self.queue = ParseQueue::Long { _permit: permit };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::task::{JoinHandle, JoinSet, spawn_blocking};

    use super::*;
    use crate::ingest::{BodyLimits, MemoryClaim, ParseGuard};

    const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A body that needs the long queue, in a thread of its own.
    async fn long_body(queues: &ParseQueues) -> JoinHandle<Result<QueuePlace, IngestError>> {
        let mut place = queues.enter(SENDER, 1).await;
        spawn_blocking(move || place.go_on_in_long_queue().map(|()| place))
    }

    fn guard(place: QueuePlace) -> ParseGuard {
        ParseGuard::start(&BodyLimits::default(), MemoryClaim::unlimited()).in_queue(place)
    }

    async fn wait_for_waiting(queues: &ParseQueues, bodies: usize) {
        while queues.waiting.load(Ordering::Relaxed) != bodies {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_body_that_is_parsed_for_a_while_goes_on_in_the_long_queue() {
        let queues = ParseQueues::new(1);
        let place = queues.enter(SENDER, 1).await;
        let busy = queues.clone();
        let guard = spawn_blocking(move || {
            let mut guard = guard(place);
            while busy.long.free() > 0 {
                guard.check_time().unwrap();
            }
            guard
        });
        let guard = guard.await.unwrap();
        drop(queues.enter(SENDER, 1).await);
        drop(guard);
        assert_eq!(queues.long.free(), 1);
    }

    #[tokio::test]
    async fn a_body_that_waits_for_a_processor_stays_in_the_short_queue() {
        let queues = ParseQueues::new(1);
        let mut place = queues.enter(SENDER, 1).await;
        place.begin -= SHORT_TIME * 1000;
        let _busy = queues.long.try_acquire();
        let mut guard = guard(place);
        guard.check_time().unwrap();
        assert_eq!(queues.short.free(), 0);
    }

    #[tokio::test]
    async fn a_large_body_takes_no_place_of_others() {
        let queues = ParseQueues::new(1);
        let large = queues.enter(SENDER, LARGE_BYTES + 1).await;
        assert_eq!((queues.short.free(), queues.long.free()), (1, 0));
        assert!(!large.takes_long());
        drop(queues.enter(SENDER, LARGE_BYTES).await);
    }

    #[tokio::test]
    async fn bodies_that_take_long_leave_the_short_queue_to_others() {
        let queues = ParseQueues::new(1);
        let first = long_body(&queues).await.await.unwrap().unwrap();
        let mut waiting = JoinSet::new();
        for bodies in 1..=MAX_WAITING {
            let body = long_body(&queues).await;
            // Gives its place back by itself: the bodies may get it in any order.
            waiting.spawn(async move { drop(body.await.unwrap().unwrap()) });
            wait_for_waiting(&queues, bodies).await;
        }
        // One runs and sixteen wait; a short body is parsed at once, and a long one is refused.
        drop(queues.enter(SENDER, 1).await);
        let refused = long_body(&queues).await.await.unwrap().unwrap_err();
        assert!(matches!(refused, IngestError::TooManyLong), "{refused}");
        drop(queues.enter(SENDER, 1).await);
        drop(first);
        while let Some(ended) = waiting.join_next().await {
            ended.unwrap();
        }
        assert_eq!(queues.waiting.load(Ordering::Relaxed), 0);
        assert_eq!(queues.long.free(), 1);
    }
}
