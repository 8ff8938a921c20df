//! The circuit breaker: stops calls while the receiver fails.
//!
//! Closed: calls are made. After a number of failed calls in a row it opens: no
//! call is made until the wait is over. Then it is half-open: the next call
//! decides.

use std::time::Instant;

use serde::Serialize;

/// State of a circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Circuit {
    #[default]
    Closed,
    /// One call decides.
    HalfOpen,
    Open,
}

#[derive(Debug)]
pub(super) struct CircuitBreaker {
    threshold: u64,
    /// Failed calls since the last call that succeeded.
    failures: u64,
    /// No call is made before then, open or not.
    not_before: Option<Instant>,
    is_open: bool,
}

impl CircuitBreaker {
    pub(super) fn new(threshold: u64) -> Self {
        Self {
            threshold,
            failures: 0,
            not_before: None,
            is_open: false,
        }
    }

    /// Failed calls since the last call that succeeded.
    pub(super) fn failures(&self) -> u32 {
        u32::try_from(self.failures).unwrap_or(u32::MAX)
    }

    /// The receiver answered: closes.
    pub(super) fn on_success(&mut self) {
        *self = Self::new(self.threshold);
    }

    /// A call failed. Opens after enough failures; the next call then comes no
    /// sooner than `until`.
    pub(super) fn on_failure(&mut self, until: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.threshold {
            self.open(until);
        }
    }

    /// Opens at once, without counting failures.
    pub(super) fn open(&mut self, until: Instant) {
        self.is_open = true;
        self.throttle(until);
    }

    /// Makes no call before then, as the receiver asked. Does not open.
    pub(super) fn throttle(&mut self, until: Instant) {
        self.not_before = Some(until);
    }

    /// Makes the next call at once.
    pub(super) fn retry_now(&mut self) {
        self.not_before = None;
    }

    /// Until when no call is made; `None`: a call may be made.
    pub(super) fn blocked_until(&self, now: Instant) -> Option<Instant> {
        self.not_before.filter(|until| *until > now)
    }

    pub(super) fn circuit(&self, now: Instant) -> Circuit {
        match (self.is_open, self.blocked_until(now)) {
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
    fn opens_after_failures_in_a_row_and_one_call_decides() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut breaker = CircuitBreaker::new(2);
        breaker.on_failure(later);
        assert_eq!(
            (breaker.circuit(now), breaker.blocked_until(now)),
            (Circuit::Closed, None)
        );
        breaker.on_success();
        breaker.on_failure(later);
        breaker.on_failure(later);
        assert_eq!(
            (breaker.circuit(now), breaker.blocked_until(now)),
            (Circuit::Open, Some(later))
        );
        assert_eq!(breaker.circuit(later), Circuit::HalfOpen);
        let much_later = later + Duration::from_secs(1);
        breaker.on_failure(much_later);
        assert_eq!(breaker.blocked_until(later), Some(much_later));
        breaker.on_success();
        assert_eq!(
            (breaker.circuit(now), breaker.blocked_until(now)),
            (Circuit::Closed, None)
        );
    }

    #[test]
    fn throttling_does_not_open_the_circuit() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut breaker = CircuitBreaker::new(5);
        breaker.throttle(later);
        assert_eq!(
            (breaker.circuit(now), breaker.blocked_until(now)),
            (Circuit::Closed, Some(later))
        );
        breaker.retry_now();
        assert_eq!(breaker.blocked_until(now), None);
    }
}
