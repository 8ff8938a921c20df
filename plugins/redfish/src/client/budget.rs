//! What a call can use: time, requests and bytes.

use std::{
    cell::Cell,
    thread,
    time::{Duration, Instant},
};

use delfin_plugin_api::{Context, Failure};

/// How often a wait looks whether the call was cancelled.
const TICK: Duration = Duration::from_millis(100);

/// The most bytes of documents that a call reads: it can keep all of them, and they become several times as
/// large in memory.
const MAX_BYTES: usize = 128 << 20;

/// The requests, the bytes and the time that are left.
pub(crate) struct CallBudget<'a> {
    is_cancelled: Box<dyn Fn() -> bool + 'a>,
    deadline: Instant,
    requests: Cell<u32>,
    limit: u32,
    bytes: Cell<usize>,
}

impl<'a> CallBudget<'a> {
    pub(crate) fn of_call(call: &'a Context<'_>, requests: u32) -> Self {
        Self {
            is_cancelled: Box::new(|| call.cancelled()),
            deadline: Instant::now() + call.remaining(),
            requests: Cell::new(requests),
            limit: requests,
            bytes: Cell::new(MAX_BYTES),
        }
    }

    /// For a thread of the driver.
    pub(crate) fn of_thread(time: Duration, requests: u32) -> Self {
        Self {
            is_cancelled: Box::new(|| false),
            deadline: Instant::now() + time,
            requests: Cell::new(requests),
            limit: requests,
            bytes: Cell::new(MAX_BYTES),
        }
    }

    /// Takes a request, and returns the time that it can have.
    pub(crate) fn take(&self, most: Duration) -> Result<Duration, Failure> {
        let left = self.left();
        if left.is_zero() {
            return Err(Failure::retry(
                "the storage needs more time than a call has (raise the interval, or switch off what \
                 is not needed)",
            ));
        }
        let Some(requests) = self.requests.get().checked_sub(1) else {
            return Err(Failure::retry(format!(
                "the storage needs more than {} requests (raise `max_requests`)",
                self.limit
            )));
        };
        self.requests.set(requests);
        Ok(most.min(left))
    }

    /// Takes the bytes of a document.
    pub(crate) fn take_bytes(&self, bytes: usize) -> Result<(), Failure> {
        let left = self.bytes.get().checked_sub(bytes);
        self.bytes.set(left.unwrap_or_default());
        if left.is_none() {
            let mebibytes = MAX_BYTES >> 20;
            return Err(Failure::retry(format!(
                "the storage has more than {mebibytes} MiB of documents for one call"
            )));
        }
        Ok(())
    }

    /// Whether no other request is possible.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.requests.get() == 0 || self.bytes.get() == 0 || self.left().is_zero()
    }

    /// Waits, unless that is longer than the call. Returns whether it has waited.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        if end >= self.deadline {
            return false;
        }
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            if self.left().is_zero() {
                return false;
            }
            thread::sleep(left.min(TICK));
        }
    }

    fn left(&self) -> Duration {
        if (self.is_cancelled)() {
            return Duration::ZERO;
        }
        self.deadline.saturating_duration_since(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_reads_a_limited_number_of_bytes() {
        let budget = CallBudget::of_thread(Duration::from_secs(60), 10);
        budget.take_bytes(MAX_BYTES - 1).unwrap();
        assert!(!budget.is_exhausted());
        let failure = budget.take_bytes(2).unwrap_err();
        assert!(
            failure.to_string().contains("more than 128 MiB"),
            "{failure}"
        );
        assert!(budget.is_exhausted());
    }
}
