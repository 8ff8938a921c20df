//! How fast what waits for an exporter grows.
//!
//! Promises to go by the last few minutes alone, and to say nothing before it
//! has seen one of them: a batch that has just come is no trend.

use std::time::{Duration, Instant};

/// A mark is replaced after so long: what is measured is once to twice of it.
const MARK: Duration = Duration::from_secs(150);

/// What is seen in less time than this says nothing.
const SHORTEST: Duration = Duration::from_secs(60);

/// How much has waited lately.
#[derive(Clone, Copy, Debug, Default)]
pub struct Growth(Option<Seen>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// What is measured from.
    since: Size,
    /// What will be measured from next.
    mark: Size,
    last: Size,
}

#[derive(Clone, Copy, Debug)]
struct Size {
    at: Instant,
    bytes: u64,
}

impl Growth {
    /// So much waits now.
    pub(in crate::delivery) fn observe(&mut self, at: Instant, bytes: u64) {
        let last = Size { at, bytes };
        self.0 = Some(match self.0 {
            None => Seen {
                since: last,
                mark: last,
                last,
            },
            Some(seen) if at.duration_since(seen.mark.at) >= MARK => Seen {
                since: seen.mark,
                mark: last,
                last,
            },
            Some(seen) => Seen { last, ..seen },
        });
    }

    /// When so many bytes will wait, if it goes on like this; nothing if they
    /// never will.
    #[must_use]
    pub fn time_to(&self, max_bytes: u64) -> Option<Duration> {
        let Seen { since, last, .. } = self.0?;
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

    /// What is said after these sizes were seen, at these seconds.
    fn check(sizes: &[(u64, u64)], max_bytes: u64, wanted: Option<u64>) {
        let start = Instant::now();
        let mut growth = Growth::default();
        for (second, bytes) in sizes {
            growth.observe(start + Duration::from_secs(*second), *bytes);
        }
        assert_eq!(
            growth.time_to(max_bytes),
            wanted.map(Duration::from_secs),
            "{sizes:?}"
        );
    }

    #[test]
    fn what_grows_steadily_is_full_when_it_will_be() {
        check(&[(0, 0), (100, 1_000)], 11_000, Some(1_000));
        check(&[(0, 5_000), (60, 5_600)], 6_600, Some(100));
    }

    #[test]
    fn what_does_not_grow_is_never_full() {
        check(&[], 10, None);
        check(&[(0, 5), (100, 5)], 10, None);
        check(&[(0, 5), (100, 2)], 10, None);
    }

    #[test]
    fn less_than_a_minute_says_nothing() {
        check(&[(0, 0), (59, 1_000)], 10_000, None);
    }

    #[test]
    fn what_is_full_is_full_whether_it_grows_or_not() {
        check(&[(0, 10)], 10, Some(0));
        check(&[(0, 20), (100, 12)], 10, Some(0));
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
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
