//! How a receiver that has failed is tried again: first its health is checked, then rows are
//! sent.
//!
//! Promises: rows are sent after a few failed checks as well, so that a wrong check keeps
//! no rows for good.

use crate::delivery::circuit_breaker::Circuit;

/// How many checks in a row may fail before rows are sent nevertheless.
const MAX_FAILURES: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct ReceiverTrial {
    failures: u32,
    /// Rows are next.
    sends_rows: bool,
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
        self.failures
    }

    /// A request has returned.
    pub(super) fn end(&mut self) {
        *self = Self::default();
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
}
