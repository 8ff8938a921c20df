//! Hands out a number of permits for calls.
//!
//! A call that takes long loses its permit to a waiting call, so a driver that hangs costs no
//! permit, unless it keeps it for what follows. Waiting calls get permits in order of arrival.

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

/// Interval at which a waiting call looks for permits that are held long.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Hands out permits.
pub(super) struct PermitPool {
    free: Arc<Semaphore>,
    /// How long a call keeps its permit while other calls wait.
    max_hold: Duration,
    held: Mutex<HeldPermits>,
}

/// The right to make a call; released when dropped.
pub(super) struct PoolPermit {
    pool: Arc<PermitPool>,
    number: u64,
}

/// Permits by the number of their call. The pool owns them, not the calls, so
/// that it can revoke the permit of a call that hangs.
#[derive(Default)]
struct HeldPermits {
    last_number: u64,
    by_number: BTreeMap<u64, HeldPermit>,
}

struct HeldPermit {
    /// `None`: it is not revoked.
    since: Option<Instant>,
    _permit: OwnedSemaphorePermit,
}

impl PermitPool {
    pub(super) fn new(limit: usize, max_hold: Duration) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(limit)),
            max_hold,
            held: Mutex::default(),
        })
    }

    /// Waits for a permit.
    pub(super) async fn acquire(self: &Arc<Self>) -> PoolPermit {
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
        let permit = permit.map(|permit| HeldPermit {
            since: Some(Instant::now()),
            _permit: permit,
        });
        held.by_number.extend(permit.map(|permit| (number, permit)));
        PoolPermit {
            pool: Arc::clone(self),
            number,
        }
    }

    fn revoke_long_held(&self) {
        let now = Instant::now();
        let is_recent = |since: Instant| now.saturating_duration_since(since) < self.max_hold;
        self.held()
            .by_number
            .retain(|_, permit| permit.since.is_none_or(is_recent));
    }

    fn held(&self) -> MutexGuard<'_, HeldPermits> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PoolPermit {
    /// From now on the permit is not revoked.
    pub(super) fn keep(&self) {
        // It may have been revoked already.
        if let Some(permit) = self.pool.held().by_number.get_mut(&self.number) {
            permit.since = None;
        }
    }
}

impl Drop for PoolPermit {
    fn drop(&mut self) {
        // Does nothing if the permit was revoked.
        self.pool.held().by_number.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_HOLD: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_permit_is_free_after_its_call() {
        let pool = PermitPool::new(1, MAX_HOLD);
        let first = pool.acquire().await;
        let second = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { pool.acquire().await }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        drop(second.await.unwrap());
        assert_eq!(pool.free.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_that_is_kept_is_not_revoked() {
        let pool = PermitPool::new(1, MAX_HOLD);
        let kept = pool.acquire().await;
        kept.keep();
        let second = timeout(MAX_HOLD * 10, pool.acquire());
        assert!(second.await.is_err());
        drop(kept);
        drop(pool.acquire().await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_loses_its_permit_to_a_waiting_call() {
        let pool = PermitPool::new(1, MAX_HOLD);
        let hung = pool.acquire().await;
        let begin = Instant::now();
        let second = pool.acquire().await;
        assert!(begin.elapsed() >= MAX_HOLD);
        drop(hung);
        assert_eq!(pool.free.available_permits(), 0);
        drop(second);
        assert_eq!(pool.free.available_permits(), 1);
    }
}
