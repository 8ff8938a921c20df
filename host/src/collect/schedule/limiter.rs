//! Limit of concurrent driver calls.
//!
//! The limit bounds the memory of batches that are being collected. It does not
//! punish other storages for a slow one: a call that takes long loses its permit to
//! a waiting call, so a driver that hangs costs no permit. Waiting calls get permits
//! in order of arrival.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

/// Maximum number of concurrent calls.
const MAX_CALLS: usize = 32;

/// How long a call keeps its permit while other calls wait.
const MAX_HOLD: Duration = Duration::from_secs(5);

/// Interval at which a waiting call looks for permits held longer than [`MAX_HOLD`].
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Hands out permits for driver calls.
pub(super) struct CallLimiter {
    free: Arc<Semaphore>,
    held: Mutex<HeldPermits>,
}

/// The right to call a driver; released when dropped.
pub(super) struct CallPermit {
    limiter: Arc<CallLimiter>,
    number: u64,
}

/// Permits by the number of their call. The limiter owns them, not the calls, so
/// that it can revoke the permit of a call that hangs.
#[derive(Default)]
struct HeldPermits {
    last_number: u64,
    by_number: BTreeMap<u64, (Instant, OwnedSemaphorePermit)>,
}

impl CallLimiter {
    pub(super) fn new() -> Arc<Self> {
        Self::with_limit(MAX_CALLS)
    }

    fn with_limit(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(limit)),
            held: Mutex::default(),
        })
    }

    /// Waits for a permit.
    pub(super) async fn acquire(self: &Arc<Self>) -> CallPermit {
        // The same future is polled again after each timeout: it keeps its place in
        // the semaphore's queue.
        let mut free = pin!(Arc::clone(&self.free).acquire_owned());
        let permit = loop {
            match timeout(CHECK_INTERVAL, &mut free).await {
                // The semaphore is never closed, so this is never an error.
                Ok(permit) => break permit.ok(),
                Err(_) => self.revoke_long_held(),
            }
        };
        let mut held = self.held();
        held.last_number += 1;
        let number = held.last_number;
        let permit = permit.map(|permit| (Instant::now(), permit));
        held.by_number.extend(permit.map(|permit| (number, permit)));
        CallPermit {
            limiter: Arc::clone(self),
            number,
        }
    }

    fn revoke_long_held(&self) {
        let now = Instant::now();
        let is_recent = |since: &Instant| now.saturating_duration_since(*since) < MAX_HOLD;
        self.held()
            .by_number
            .retain(|_, (since, _)| is_recent(since));
    }

    fn held(&self) -> MutexGuard<'_, HeldPermits> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        // Does nothing if the permit was revoked.
        self.limiter.held().by_number.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_permit_is_free_after_its_call() {
        let limiter = CallLimiter::with_limit(1);
        let first = limiter.acquire().await;
        let second = tokio::spawn({
            let limiter = Arc::clone(&limiter);
            async move { limiter.acquire().await }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        drop(second.await.unwrap());
        assert_eq!(limiter.free.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_loses_its_permit_to_a_waiting_call() {
        let limiter = CallLimiter::with_limit(1);
        let hung = limiter.acquire().await;
        let begin = Instant::now();
        let second = limiter.acquire().await;
        assert!(begin.elapsed() >= MAX_HOLD);
        drop(hung);
        assert_eq!(limiter.free.available_permits(), 0);
        drop(second);
        assert_eq!(limiter.free.available_permits(), 1);
    }
}
