//! How long new rows wait for more of them after a call.
//!
//! A steady stream of small batches would be one call for each of them. So after a call with all rows that there
//! were, the exporter rests for a multiple of its duration. The first call after a quiet time does not wait, and
//! neither does an exporter that catches up.

use std::time::{Duration, Instant};

/// How many times a call the exporter rests after it: calls that carry little take at most a fifth of the time.
const PER_CALL: u32 = 4;
const MAX_REST: Duration = Duration::from_millis(10);

#[derive(Debug, Default)]
pub(super) struct Rest {
    /// No rows are left after those of the last request.
    has_sent_all: bool,
    until: Option<Instant>,
}

impl Rest {
    /// Rows are sent; `has_more`: others were never sent.
    pub(super) fn on_request(&mut self, has_more: bool) {
        self.has_sent_all = !has_more;
    }

    /// The rows were delivered, in this time.
    pub(super) fn on_delivered(&mut self, took: Duration, now: Instant) {
        let rest = took.saturating_mul(PER_CALL).min(MAX_REST);
        self.until = self.has_sent_all.then(|| now + rest);
    }

    /// When it ends, if it has not ended yet.
    pub(super) fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_wait_in_proportion_to_the_call_before_and_for_a_limited_time() {
        let mut rest = Rest::default();
        let now = Instant::now();
        assert_eq!(rest.until(now), None);
        for (took, expected) in [
            (Duration::from_micros(500), Duration::from_millis(2)),
            (Duration::MAX, MAX_REST),
        ] {
            rest.on_request(false);
            rest.on_delivered(took, now);
            assert_eq!(rest.until(now), Some(now + expected));
            assert_eq!(rest.until(now + expected), None);
        }
    }

    #[test]
    fn an_exporter_with_more_rows_does_not_rest() {
        let mut rest = Rest::default();
        let now = Instant::now();
        rest.on_request(false);
        rest.on_delivered(Duration::from_secs(1), now);
        rest.on_request(true);
        rest.on_delivered(Duration::from_secs(1), now);
        assert_eq!(rest.until(now), None);
    }
}
