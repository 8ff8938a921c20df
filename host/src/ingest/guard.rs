//! The time and the memory that one body may take.

use std::time::Duration;

use super::{BodyLimits, IngestError, memory::MemoryClaim, queues::QueuePlace};
use crate::platform::thread_processor_time;

/// Watches a body while a thread parses it. The time is that of the processor: a busy machine must not
/// refuse a body that is like any other. Every limit of size bounds time and memory as well;
/// this bounds them for bodies that are more expensive than their size tells. A body that
/// takes long leaves its place to others.
#[derive(Debug)]
pub struct ParseGuard {
    /// The time of a processor that the thread may have used by the end.
    end: Duration,
    limits: BodyLimits,
    claim: MemoryClaim,
    place: Option<QueuePlace>,
    /// The memory of the body itself.
    body_bytes: u64,
}

impl ParseGuard {
    /// Starts the clock, in the thread that parses the body.
    #[must_use]
    pub fn start(limits: &BodyLimits, claim: MemoryClaim) -> Self {
        Self {
            end: thread_processor_time() + limits.max_parse_time,
            limits: *limits,
            claim,
            place: None,
            body_bytes: 0,
        }
    }

    /// The guard of a body that shares the processors with others, in a thread that may block.
    #[must_use]
    pub fn in_queue(mut self, place: QueuePlace) -> Self {
        self.place = Some(place.begin());
        self.claim.block();
        self
    }

    /// The guard of the only body of a process.
    #[must_use]
    pub fn unlimited(limits: &BodyLimits) -> Self {
        Self::start(limits, MemoryClaim::unlimited())
    }

    /// Sets the memory of the body itself.
    ///
    /// # Errors
    ///
    /// The memory is not available.
    pub fn hold_body(&mut self, bytes: usize) -> Result<(), IngestError> {
        self.body_bytes = bytes as u64;
        self.claim.resize(self.body_bytes)
    }

    /// Looks at the clock, and leaves the place to other bodies if this one takes long.
    ///
    /// # Errors
    ///
    /// The time is over, or too many bodies take long.
    pub(super) fn check_time(&mut self) -> Result<(), IngestError> {
        if let Some(place) = self.place.as_mut().filter(|place| place.takes_long()) {
            place.go_on_in_long_queue()?;
        }
        if thread_processor_time() < self.end {
            return Ok(());
        }
        let limit = self.limits.max_parse_time;
        Err(IngestError::TooSlow { limit })
    }

    /// Looks at the clock, and claims the memory of the body and of what was made of it.
    ///
    /// # Errors
    ///
    /// The time is over, or the memory is not available.
    pub fn check(&mut self, made_bytes: usize) -> Result<(), IngestError> {
        self.check_time()?;
        self.claim.resize(self.body_bytes + made_bytes as u64)
    }

    pub(super) fn into_claim(self) -> MemoryClaim {
        self.claim
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Instant};

    use super::*;

    #[test]
    fn the_time_in_which_a_busy_machine_lets_others_run_does_not_count() {
        let limits = BodyLimits {
            max_parse_time: Duration::from_millis(100),
            ..BodyLimits::default()
        };
        let mut guard = ParseGuard::unlimited(&limits);
        let begin = Instant::now();
        let other = thread::spawn(move || {
            while begin.elapsed() <= limits.max_parse_time {
                thread::yield_now();
            }
        });
        other.join().unwrap();
        guard.check_time().unwrap();
    }
}
