//! Whether the receiver is there: a circuit breaker.
//!
//! Closed, calls are made. After some failed calls in a row it opens: no call is
//! made and nothing is read until the wait is over. Then it is half open: one
//! call decides.

use std::time::Instant;

use serde::Serialize;

/// What the breaker lets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Circuit {
    /// Every call.
    #[default]
    Closed,
    /// One call, to see.
    HalfOpen,
    /// None.
    Open,
}

#[derive(Debug)]
pub(super) struct Breaker {
    threshold: u64,
    /// Failed calls since the last one that was not.
    failures: u64,
    shut_until_then: Option<Instant>,
    is_open: bool,
}

impl Breaker {
    pub(super) fn new(threshold: u64) -> Self {
        Self {
            threshold,
            failures: 0,
            shut_until_then: None,
            is_open: false,
        }
    }

    /// The receiver is there.
    pub(super) fn succeeded(&mut self) {
        *self = Self::new(self.threshold);
    }

    /// A call has failed; the next should not come before then.
    pub(super) fn failed(&mut self, until: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.threshold {
            self.open(until);
        }
    }

    /// Opens, whatever came before.
    pub(super) fn open(&mut self, until: Instant) {
        self.is_open = true;
        self.hold(until);
    }

    /// The receiver is there, and wants no call before then.
    pub(super) fn hold(&mut self, until: Instant) {
        self.shut_until_then = Some(until);
    }

    /// Makes the next call at once.
    pub(super) fn hurry(&mut self) {
        self.shut_until_then = None;
    }

    /// Until when no call is made; none if one may be.
    pub(super) fn shut_until(&self, now: Instant) -> Option<Instant> {
        self.shut_until_then.filter(|until| *until > now)
    }

    pub(super) fn circuit(&self, now: Instant) -> Circuit {
        match (self.is_open, self.shut_until(now)) {
            (false, _) => Circuit::Closed,
            (true, None) => Circuit::HalfOpen,
            (true, Some(_)) => Circuit::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_one_call_decides() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut breaker = Breaker::new(2);
        breaker.failed(later);
        assert_eq!(
            (breaker.circuit(now), breaker.shut_until(now)),
            (Circuit::Closed, None)
        );
        breaker.succeeded();
        breaker.failed(later);
        breaker.failed(later);
        assert_eq!(
            (breaker.circuit(now), breaker.shut_until(now)),
            (Circuit::Open, Some(later))
        );
        assert_eq!(breaker.circuit(later), Circuit::HalfOpen);
        let much_later = later + Duration::from_secs(1);
        breaker.failed(much_later);
        assert_eq!(breaker.shut_until(later), Some(much_later));
        breaker.succeeded();
        assert_eq!(
            (breaker.circuit(now), breaker.shut_until(now)),
            (Circuit::Closed, None)
        );
    }

    #[test]
    fn a_receiver_that_wants_time_is_not_away() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut breaker = Breaker::new(5);
        breaker.hold(later);
        assert_eq!(
            (breaker.circuit(now), breaker.shut_until(now)),
            (Circuit::Closed, Some(later))
        );
        breaker.hurry();
        assert_eq!(breaker.shut_until(now), None);
    }
}
