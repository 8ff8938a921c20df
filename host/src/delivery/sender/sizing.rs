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
    /// Set once the time of a call was not enough.
    in_time: Option<InTime>,
}

/// How much the time of a call should be enough for.
#[derive(Debug)]
struct InTime {
    items: u64,
    /// The calls with so many items that a larger one needs before it. Doubles whenever a larger one
    /// took too long again, because its rows arrive several times.
    needed_calls: u32,
    /// As many were there.
    calls: u32,
    has_grown: bool,
}

const MAX_NEEDED_CALLS: u32 = 64;

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
        let needed_calls = match &self.in_time {
            Some(limit) if limit.has_grown => (2 * limit.needed_calls).min(MAX_NEEDED_CALLS),
            Some(limit) => limit.needed_calls,
            None => 1,
        };
        self.in_time = Some(InTime {
            items: (items / 2).max(1),
            needed_calls,
            calls: 0,
            has_grown: false,
        });
    }

    /// A call has delivered this many items in its time. After enough of them, the next one has twice as
    /// many. A small one says nothing of a larger one.
    pub(super) fn on_in_time(&mut self, items: u64) {
        let Some(limit) = &mut self.in_time else {
            return;
        };
        if items <= limit.items / 2 {
            return;
        }
        if limit.items >= self.configured.items {
            self.in_time = None;
            return;
        }
        limit.calls += 1;
        if limit.calls >= limit.needed_calls {
            limit.items = limit.items.saturating_mul(2);
            limit.calls = 0;
            limit.has_grown = true;
        }
    }

    /// The largest request.
    pub(super) fn max(&mut self, now: Instant) -> RequestSize {
        self.learned = self.learned.filter(|(_, until)| *until > now);
        let learned = self.learned.map_or(u64::MAX, |(items, _)| items);
        let in_time = self.in_time.as_ref().map_or(u64::MAX, |limit| limit.items);
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
        for (sent, expected) in [(1, 2), (2, 4), (1, 4), (3, 8), (8, 16), (16, 32)] {
            sizing.on_in_time(sent);
            assert_eq!(items(&mut sizing), expected);
        }
        for sent in [32, 64, 100, 1] {
            sizing.on_in_time(sent);
        }
        assert_eq!(items(&mut sizing), 100);
        assert!(sizing.in_time.is_none());
    }

    #[test]
    fn a_size_that_takes_too_long_again_and_again_is_tried_ever_more_seldom() {
        let config = BatchConfig {
            max_points: 100,
            ..BatchConfig::default()
        };
        let mut sizing = Sizing::new(&config, None);
        let mut calls = Vec::new();
        for _ in 0..8 {
            // The same rows are sent a second time.
            sizing.on_out_of_time(100);
            sizing.on_out_of_time(100);
            let mut in_time = 0;
            while sizing.max(Instant::now()).items == 50 {
                sizing.on_in_time(50);
                in_time += 1;
            }
            calls.push(in_time);
        }
        assert_eq!(calls, [1, 2, 4, 8, 16, 32, 64, 64]);
    }
}
