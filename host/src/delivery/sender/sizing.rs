//! How much goes into one request: what the operator and the plugin allow, what the
//! receiver was found to take, and what a call was found to do in its time.

use std::time::{Duration, Instant};

use crate::{config::BatchConfig, delivery::outbox::RequestSize};

/// How long a size that was too large is remembered: the receiver's limit may be
/// raised.
const REMEMBER: Duration = Duration::from_mins(10);

#[derive(Debug)]
pub(super) struct Sizing {
    configured: RequestSize,
    /// Items that the receiver takes, and until when this is remembered.
    learned: Option<(u64, Instant)>,
    /// Items for which the time of a call should be enough. Grows with each call that keeps to it.
    in_time: Option<u64>,
}

impl Sizing {
    /// `declared`: the most items that the plugin takes.
    pub(super) fn new(config: &BatchConfig, declared: Option<u64>) -> Self {
        Self {
            configured: RequestSize {
                items: config.max_points.min(declared.unwrap_or(u64::MAX)),
                bytes: config.max_bytes,
            },
            learned: None,
            in_time: None,
        }
    }

    /// A request of this many items was too large: half of it is the limit now.
    pub(super) fn on_too_large(&mut self, items: u64, now: Instant) {
        let half = (items / 2).max(1);
        self.learned = Some((half.min(self.max(now).items), now + REMEMBER));
    }

    /// The time of a call was not enough for this many items: the next one has half of them.
    pub(super) fn on_out_of_time(&mut self, items: u64) {
        self.in_time = Some((items / 2).max(1));
    }

    /// A call has delivered this many items in its time. If it was as large as it could be, the next
    /// one has twice as many.
    pub(super) fn on_in_time(&mut self, items: u64) {
        let grown = self.in_time.map(|limit| limit.max(items.saturating_mul(2)));
        self.in_time = grown.filter(|limit| *limit < self.configured.items);
    }

    /// The largest request.
    pub(super) fn max(&mut self, now: Instant) -> RequestSize {
        self.learned = self.learned.filter(|(_, until)| *until > now);
        let learned = self.learned.map_or(u64::MAX, |(items, _)| items);
        let in_time = self.in_time.unwrap_or(u64::MAX);
        RequestSize {
            items: self.configured.items.min(learned).min(in_time),
            ..self.configured
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_too_large_is_remembered_for_a_while() {
        let config = BatchConfig {
            max_points: 100,
            ..BatchConfig::default()
        };
        let now = Instant::now();
        let items = |sizing: &mut Sizing, now| sizing.max(now).items;
        assert_eq!(items(&mut Sizing::new(&config, Some(7)), now), 7);
        let mut sizing = Sizing::new(&config, None);
        assert_eq!(items(&mut sizing, now), 100);
        sizing.on_too_large(100, now);
        assert_eq!(items(&mut sizing, now), 50);
        sizing.on_too_large(3, now);
        assert_eq!(items(&mut sizing, now), 1);
        assert_eq!(items(&mut sizing, now + REMEMBER), 100);
    }

    #[test]
    fn a_request_gets_smaller_while_its_time_is_not_enough_and_grows_again() {
        let config = BatchConfig {
            max_points: 100,
            ..BatchConfig::default()
        };
        let mut sizing = Sizing::new(&config, None);
        let items = |sizing: &mut Sizing| sizing.max(Instant::now()).items;
        for expected in [50, 25, 12, 6, 3, 1, 1] {
            let sent = items(&mut sizing);
            sizing.on_out_of_time(sent);
            assert_eq!(items(&mut sizing), expected);
        }
        // A request that was small anyway says nothing of a larger one.
        for (sent, expected) in [(1, 2), (2, 4), (1, 4), (4, 8), (8, 16), (60, 100)] {
            sizing.on_in_time(sent);
            assert_eq!(items(&mut sizing), expected);
        }
        sizing.on_in_time(1);
        assert_eq!(items(&mut sizing), 100);
    }
}
