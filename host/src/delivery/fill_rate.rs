//! How fast an exporter's queue fills.
//!
//! Measured over the last two to five minutes, and unknown before the first of
//! them: one new batch is no trend.

use std::time::{Duration, Instant};

/// Age at which a mark is replaced. The rate is measured over one to two of these.
const MARK: Duration = Duration::from_secs(150);

/// A shorter observation gives no rate.
const SHORTEST: Duration = Duration::from_secs(60);

/// The pending bytes of the last minutes.
#[derive(Clone, Copy, Debug, Default)]
pub struct FillRate(Option<Observations>);

#[derive(Clone, Copy, Debug)]
struct Observations {
    /// The rate is measured from here.
    since: FillSample,
    /// The rate will be measured from here once this is old enough.
    mark: FillSample,
    last: FillSample,
}

#[derive(Clone, Copy, Debug)]
struct FillSample {
    at: Instant,
    bytes: u64,
}

impl FillRate {
    pub(crate) fn observe(&mut self, at: Instant, bytes: u64) {
        let last = FillSample { at, bytes };
        self.0 = Some(match self.0 {
            None => Observations {
                since: last,
                mark: last,
                last,
            },
            Some(observed) if at.duration_since(observed.mark.at) >= MARK => Observations {
                since: observed.mark,
                mark: last,
                last,
            },
            Some(observed) => Observations { last, ..observed },
        });
    }

    /// How long until this many bytes are pending at the current rate; `None` if
    /// the queue is not filling.
    #[must_use]
    pub fn time_to(&self, max_bytes: u64) -> Option<Duration> {
        let Observations { since, last, .. } = self.0?;
        let room = max_bytes.saturating_sub(last.bytes);
        if room == 0 {
            return Some(Duration::ZERO);
        }
        let took = last.at.duration_since(since.at);
        let grown = last.bytes.saturating_sub(since.bytes);
        if took < SHORTEST || grown == 0 {
            return None;
        }
        Duration::try_from_secs_f64(took.as_secs_f64() * room as f64 / grown as f64).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the time after these sizes were observed, at these seconds.
    fn check(sizes: &[(u64, u64)], max_bytes: u64, wanted: Option<u64>) {
        let start = Instant::now();
        let mut fill_rate = FillRate::default();
        for (second, bytes) in sizes {
            fill_rate.observe(start + Duration::from_secs(*second), *bytes);
        }
        assert_eq!(
            fill_rate.time_to(max_bytes),
            wanted.map(Duration::from_secs),
            "{sizes:?}"
        );
    }

    #[test]
    fn a_queue_that_fills_steadily_is_full_in_time() {
        check(&[(0, 0), (100, 1_000)], 11_000, Some(1_000));
        check(&[(0, 5_000), (60, 5_600)], 6_600, Some(100));
    }

    #[test]
    fn a_queue_that_does_not_fill_is_never_full() {
        check(&[], 10, None);
        check(&[(0, 5), (100, 5)], 10, None);
        check(&[(0, 5), (100, 2)], 10, None);
    }

    #[test]
    fn less_than_a_minute_gives_no_rate() {
        check(&[(0, 0), (59, 1_000)], 10_000, None);
    }

    #[test]
    fn a_full_queue_is_full_at_any_rate() {
        check(&[(0, 10)], 10, Some(0));
        check(&[(0, 20), (100, 12)], 10, Some(0));
    }

    #[test]
    fn old_observations_are_forgotten() {
        let emptied = [
            (0, 9_000),
            (150, 0),
            (300, 1_500),
            (449, 2_990),
            (450, 3_000),
        ];
        check(&emptied[..4], 5_980, Some(299));
        check(&emptied, 6_000, Some(300));
    }
}
