//! What a call can use: time and requests.

use std::{
    cell::Cell,
    thread,
    time::{Duration, Instant},
};

use delfin_plugin_api::{Context, Failure};

/// How often a wait looks whether the call was cancelled.
const TICK: Duration = Duration::from_millis(100);

/// The requests and the time that are left.
pub(crate) struct CallBudget<'a> {
    is_cancelled: Box<dyn Fn() -> bool + 'a>,
    deadline: Instant,
    requests: Cell<u32>,
    limit: u32,
}

impl<'a> CallBudget<'a> {
    pub(crate) fn of_call(call: &'a Context<'_>, requests: u32) -> Self {
        Self {
            is_cancelled: Box::new(|| call.cancelled()),
            deadline: Instant::now() + call.remaining(),
            requests: Cell::new(requests),
            limit: requests,
        }
    }

    /// For a thread of the driver.
    pub(crate) fn of_thread(time: Duration, requests: u32) -> Self {
        Self {
            is_cancelled: Box::new(|| false),
            deadline: Instant::now() + time,
            requests: Cell::new(requests),
            limit: requests,
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

    /// Whether no other request is possible.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.requests.get() == 0 || self.left().is_zero()
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
