//! Events that have arrived and wait for the next call.
//!
//! Promises: a bounded number; when it is full, the oldest are dropped and counted, and the logs of
//! the service still have them.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use super::record::FaultRecord;

/// The most events that are held.
pub(super) const MAX_EVENTS: usize = 1_000;

#[derive(Default)]
pub(super) struct EventQueue(Mutex<WaitingEvents>);

#[derive(Default)]
struct WaitingEvents {
    events: VecDeque<FaultRecord>,
    dropped: u64,
}

impl EventQueue {
    pub(super) fn push(&self, event: FaultRecord) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.events.len() == MAX_EVENTS {
            waiting.events.pop_front();
            waiting.dropped += 1;
        }
        waiting.events.push_back(event);
    }

    /// The events since the last call, and how many were dropped.
    pub(super) fn drain(&self) -> (Vec<FaultRecord>, u64) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = std::mem::take(&mut *waiting);
        (waiting.events.into(), waiting.dropped)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_full_queue_drops_the_oldest_event_and_counts_it() {
        let queue = EventQueue::default();
        for number in 0..MAX_EVENTS + 2 {
            queue.push(FaultRecord::of_event(
                &json!({"EventId": number.to_string()}),
            ));
        }
        let (events, dropped) = queue.drain();
        assert_eq!((events.len(), dropped), (MAX_EVENTS, 2));
        assert_eq!(events[0].number, "event/2");
        assert_eq!(queue.drain().0.len(), 0);
    }
}
