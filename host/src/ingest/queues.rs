//! Which bodies are parsed now.
//!
//! Each body begins in the short queue. A body that takes longer than a moment leaves it to
//! the next one, and goes on in the long queue. So bodies that take long, few or many, delay
//! others by a moment each, and not by the time that they take. In the short queue, senders
//! take turns. The processors are shared by both queues.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{
    IngestError,
    turns::{SenderTurns, TurnPermit},
};

/// How long a body stays in the short queue: enough for a megabyte.
const SHORT_TIME: Duration = Duration::from_millis(25);

/// Bodies that wait for the long queue, with what was made of them in memory. Further ones
/// are refused.
const MAX_WAITING: usize = 16;

/// The queues of one kind of batch.
#[derive(Clone, Debug)]
pub struct ParseQueues {
    short: Arc<SenderTurns>,
    long: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// The place of a body in a queue.
#[derive(Debug)]
pub struct QueuePlace {
    queues: ParseQueues,
    begin: Instant,
    queue: ParseQueue,
}

#[derive(Debug)]
enum ParseQueue {
    Short {
        _permit: TurnPermit,
    },
    Long {
        _permit: OwnedSemaphorePermit,
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
            long: Arc::new(Semaphore::new(bodies)),
            waiting: Arc::default(),
        }
    }

    /// Waits for a place in the short queue.
    pub async fn enter(&self, sender: IpAddr) -> QueuePlace {
        let permit = self.short.acquire(sender).await;
        QueuePlace {
            queues: self.clone(),
            begin: Instant::now(),
            queue: ParseQueue::Short { _permit: permit },
        }
    }
}

impl QueuePlace {
    /// Whether the body has been in the short queue for too long.
    pub(super) fn takes_long(&self) -> bool {
        matches!(self.queue, ParseQueue::Short { .. }) && self.begin.elapsed() >= SHORT_TIME
    }

    /// Leaves the short queue, and blocks the thread until the long queue has a place.
    ///
    /// # Errors
    ///
    /// Too many bodies wait for the long queue.
    pub(super) fn go_on_in_long_queue(&mut self) -> Result<(), IngestError> {
        self.queue = ParseQueue::None;
        let long = Arc::clone(&self.queues.long);
        if let Ok(permit) = Arc::clone(&long).try_acquire_owned() {
            self.queue = ParseQueue::Long { _permit: permit };
            return Ok(());
        }
        let waiting = &self.queues.waiting;
        if waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(IngestError::TooManyLong);
        }
        // Of the threads for work that blocks, so that no async worker waits here.
        let permit = Handle::current().block_on(long.acquire_owned());
        waiting.fetch_sub(1, Ordering::Relaxed);
        self.queue = permit.map_or(ParseQueue::None, |permit| ParseQueue::Long {
            _permit: permit,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::task::{JoinHandle, spawn_blocking};

    use super::*;
    use crate::ingest::{BodyLimits, MemoryClaim, ParseGuard};

    const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A body that needs the long queue, in a thread of its own.
    async fn long_body(queues: &ParseQueues) -> JoinHandle<Result<QueuePlace, IngestError>> {
        let mut place = queues.enter(SENDER).await;
        spawn_blocking(move || place.go_on_in_long_queue().map(|()| place))
    }

    async fn wait_for_waiting(queues: &ParseQueues, bodies: usize) {
        while queues.waiting.load(Ordering::Relaxed) != bodies {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_body_that_is_parsed_for_a_while_goes_on_in_the_long_queue() {
        let queues = ParseQueues::new(1);
        let mut place = queues.enter(SENDER).await;
        place.begin -= SHORT_TIME;
        let limits = BodyLimits::default();
        let mut guard = ParseGuard::start(&limits, MemoryClaim::unlimited()).in_queue(place);
        let guard = spawn_blocking(move || guard.check_time().map(|()| guard));
        let guard = guard.await.unwrap().unwrap();
        assert_eq!(queues.long.available_permits(), 0);
        drop(queues.enter(SENDER).await);
        drop(guard);
        assert_eq!(queues.long.available_permits(), 1);
    }

    #[tokio::test]
    async fn bodies_that_take_long_leave_the_short_queue_to_others() {
        let queues = ParseQueues::new(1);
        let first = long_body(&queues).await.await.unwrap().unwrap();
        let mut waiting = Vec::new();
        for bodies in 1..=MAX_WAITING {
            waiting.push(long_body(&queues).await);
            wait_for_waiting(&queues, bodies).await;
        }
        // One runs and sixteen wait; a short body is parsed at once, and a long one is refused.
        drop(queues.enter(SENDER).await);
        let refused = long_body(&queues).await.await.unwrap().unwrap_err();
        assert!(matches!(refused, IngestError::TooManyLong), "{refused}");
        drop(queues.enter(SENDER).await);
        drop(first);
        for body in waiting {
            drop(body.await.unwrap().unwrap());
        }
        assert_eq!(queues.waiting.load(Ordering::Relaxed), 0);
        assert_eq!(queues.long.available_permits(), 1);
    }
}
