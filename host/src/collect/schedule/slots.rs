//! How many drivers are called at a time.
//!
//! Slots bound the memory of batches on their way, not the patience with slow
//! storages: a call that takes long gives its slot to whoever waits, so that a
//! driver that hangs costs nobody else anything. Those who wait get their turn
//! in the order in which they came.

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

/// Calls at a time.
const SLOTS: usize = 32;

/// How long a call keeps its slot when others wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often whoever waits looks for a slot that was kept for too long.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The slots of one schedule.
pub(super) struct Slots {
    free: Arc<Semaphore>,
    taken: Mutex<Taken>,
}

/// A slot; it is free again once this is dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    number: u64,
}

#[derive(Default)]
struct Taken {
    last_number: u64,
    by_number: BTreeMap<u64, (Instant, OwnedSemaphorePermit)>,
}

impl Slots {
    pub(super) fn new() -> Arc<Self> {
        Self::with(SLOTS)
    }

    fn with(count: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(count)),
            taken: Mutex::default(),
        })
    }

    /// A slot, once there is one.
    pub(super) async fn take(self: &Arc<Self>) -> Slot {
        let mut free = pin!(Arc::clone(&self.free).acquire_owned());
        let permit = loop {
            match timeout(LOOK_AGAIN, &mut free).await {
                // Never closed, so never refused.
                Ok(permit) => break permit.ok(),
                Err(_) => self.take_from_the_slow(),
            }
        };
        let mut taken = self.taken();
        taken.last_number += 1;
        let number = taken.last_number;
        let permit = permit.map(|permit| (Instant::now(), permit));
        taken
            .by_number
            .extend(permit.map(|permit| (number, permit)));
        Slot {
            slots: Arc::clone(self),
            number,
        }
    }

    fn take_from_the_slow(&self) {
        let now = Instant::now();
        let is_patient = |since: &Instant| now.saturating_duration_since(*since) < PATIENCE;
        self.taken()
            .by_number
            .retain(|_, (since, _)| is_patient(since));
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.taken().by_number.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slot_is_free_once_its_call_is_over() {
        let slots = Slots::with(1);
        let first = slots.take().await;
        let second = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { slots.take().await }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        drop(second.await.unwrap());
        assert_eq!(slots.free.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_gives_its_slot_to_who_waits() {
        let slots = Slots::with(1);
        let hung = slots.take().await;
        let begin = Instant::now();
        let second = slots.take().await;
        assert!(begin.elapsed() >= PATIENCE);
        drop(hung);
        assert_eq!(slots.free.available_permits(), 0);
        drop(second);
        assert_eq!(slots.free.available_permits(), 1);
    }
}
