//! How a receiver that has failed is tried again: first its health is checked, then rows are
//! sent.
//!
//! While rows wait for their backoff, the health is probed. A receiver that is back gets the rows at
//! once, and one that is away gets no more than a check in each [`PROBE_INTERVAL`].
//!
//! Promises: rows are sent after a few failed checks as well, so that a wrong check keeps
//! no rows for good; and before their backoff is over only if checks have failed and then one succeeded,
//! and at most once in an outage.

use std::time::{Duration, Instant};

use crate::delivery::circuit_breaker::Circuit;

/// How many checks in a row may fail before rows are sent nevertheless.
const MAX_FAILURES: u32 = 3;

/// How often the health is probed while rows wait.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub(super) struct ReceiverTrial {
    failures: u32,
    /// Rows are next.
    sends_rows: bool,
    /// From the first call that fails until one succeeds.
    outage: Option<ProbedOutage>,
}

/// What the probes have told of a receiver that is away.
#[derive(Debug)]
struct ProbedOutage {
    /// `None`: the health is not probed.
    next_probe: Option<Instant>,
    is_probing: bool,
    /// A check has failed, so the exporter has one that tells something.
    check_failed: bool,
    /// A probe has ended the backoff.
    is_over: bool,
}

impl ReceiverTrial {
    /// Whether the health has to be checked before a request.
    pub(super) fn needs_health(&self, circuit: Circuit) -> bool {
        circuit == Circuit::HalfOpen && !self.sends_rows
    }

    pub(super) fn on_healthy(&mut self) {
        self.sends_rows = true;
    }

    /// Returns how many checks in a row have failed.
    pub(super) fn on_failure(&mut self) -> u32 {
        self.failures += 1;
        self.sends_rows = self.failures >= MAX_FAILURES;
        if let Some(outage) = &mut self.outage {
            outage.check_failed = true;
        }
        self.failures
    }

    /// A request has returned.
    pub(super) fn end(&mut self) {
        self.failures = 0;
        self.sends_rows = false;
    }

    /// The receiver answered for rows.
    pub(super) fn on_answer(&mut self) {
        self.outage = None;
    }

    /// The receiver is unavailable, and rows wait. A receiver that has asked for the wait, or that waits
    /// for a person, is not probed.
    pub(super) fn on_unavailable(&mut self, may_probe: bool) {
        let outage = self.outage.get_or_insert(ProbedOutage {
            next_probe: None,
            is_probing: false,
            check_failed: false,
            is_over: false,
        });
        // Rows have failed after a probe that succeeded: the check is wrong.
        let may_probe = may_probe && !outage.is_over;
        outage.next_probe = may_probe.then(|| Instant::now() + PROBE_INTERVAL);
    }

    pub(super) fn next_probe(&self) -> Option<Instant> {
        self.outage.as_ref()?.next_probe
    }

    /// Whether to check the health now, while rows wait.
    pub(super) fn starts_probe(&mut self, now: Instant) -> bool {
        let Some(outage) = &mut self.outage else {
            return false;
        };
        outage.is_probing = outage.next_probe.take_if(|due| *due <= now).is_some();
        outage.is_probing
    }

    /// Whether the check that has returned was a probe.
    pub(super) fn ends_probe(&mut self) -> bool {
        let outage = self.outage.as_mut();
        outage.is_some_and(|outage| std::mem::take(&mut outage.is_probing))
    }

    /// A probe has failed: the next one follows.
    pub(super) fn on_probe_failed(&mut self) {
        if let Some(outage) = &mut self.outage {
            outage.check_failed = true;
            outage.next_probe = Some(Instant::now() + PROBE_INTERVAL);
        }
    }

    /// A probe has succeeded. Returns whether this ends the backoff. An exporter without a check always
    /// succeeds, and is not asked again.
    pub(super) fn on_probe_healthy(&mut self) -> bool {
        let Some(outage) = &mut self.outage else {
            return false;
        };
        outage.is_over = outage.check_failed;
        self.sends_rows |= outage.is_over;
        outage.is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_comes_before_rows_and_a_wrong_check_does_not_keep_them() {
        let mut trial = ReceiverTrial::default();
        assert!(!trial.needs_health(Circuit::Closed));
        assert!(trial.needs_health(Circuit::HalfOpen));
        trial.on_healthy();
        assert!(!trial.needs_health(Circuit::HalfOpen));
        trial.end();
        for _ in 0..MAX_FAILURES {
            assert!(trial.needs_health(Circuit::HalfOpen));
            trial.on_failure();
        }
        assert!(!trial.needs_health(Circuit::HalfOpen));
        trial.end();
        assert!(trial.needs_health(Circuit::HalfOpen));
    }

    /// Whether a probe is made, and ends the backoff if it succeeds.
    fn probe(trial: &mut ReceiverTrial, is_healthy: bool) -> Option<bool> {
        if !trial.starts_probe(Instant::now() + PROBE_INTERVAL) {
            return None;
        }
        assert!(trial.ends_probe() && !trial.ends_probe());
        if is_healthy {
            return Some(trial.on_probe_healthy());
        }
        trial.on_probe_failed();
        Some(false)
    }

    #[test]
    fn a_receiver_that_is_back_gets_rows_before_their_backoff_is_over() {
        let mut trial = ReceiverTrial::default();
        assert_eq!(probe(&mut trial, true), None);
        trial.on_unavailable(true);
        assert!(!trial.starts_probe(Instant::now()));
        for _ in 0..10 {
            assert_eq!(probe(&mut trial, false), Some(false));
        }
        assert_eq!(probe(&mut trial, true), Some(true));
        assert!(!trial.needs_health(Circuit::HalfOpen));
        trial.on_answer();
        assert_eq!(probe(&mut trial, true), None);
    }

    #[test]
    fn a_check_that_tells_nothing_or_is_wrong_does_not_shorten_the_backoff() {
        let mut trial = ReceiverTrial::default();
        trial.on_unavailable(true);
        assert_eq!(probe(&mut trial, true), Some(false));
        assert_eq!(probe(&mut trial, true), None);
        trial.on_unavailable(true);
        assert_eq!(probe(&mut trial, false), Some(false));
        assert_eq!(probe(&mut trial, true), Some(true));
        trial.end();
        // The rows were not delivered.
        trial.on_unavailable(true);
        assert_eq!(probe(&mut trial, false), None);
    }

    #[test]
    fn a_receiver_that_has_asked_for_a_wait_is_not_probed() {
        let mut trial = ReceiverTrial::default();
        trial.on_unavailable(true);
        trial.on_unavailable(false);
        assert_eq!(probe(&mut trial, true), None);
    }
}
