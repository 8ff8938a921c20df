//! What the driver remembers from one page to the next: counters, and when alerts were first seen.
//!
//! Promises: a page that is refused changes nothing; a counter that has fallen, or whose time goes
//! back, begins again without a value; what pages do not have any more is forgotten.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use crate::decode::ScrapedSample;

/// A counter is forgotten when this number of pages does not have it.
const KEPT_PAGES: u64 = 10;

/// The counters of the last pages.
///
/// A counter is known by a hash of its name and its labels, in any order, so that a sample allocates
/// nothing. Two of a million counters have the same hash once in 30 million pages.
#[derive(Debug, Default)]
pub(crate) struct CounterState {
    known: HashMap<u64, KnownCounter>,
    /// Those of the page that is being read.
    next: HashMap<u64, KnownCounter>,
    hasher: RandomState,
    page: u64,
    /// When the page was asked for, on a clock that does not go back.
    seconds: f64,
}

#[derive(Clone, Copy, Debug)]
struct KnownCounter {
    value: f64,
    seconds: f64,
    /// The time in the page.
    time_ms: Option<i64>,
    page: u64,
}

/// By how much a counter has grown, and in which time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CounterIncrease {
    pub by: f64,
    pub seconds: f64,
}

impl CounterState {
    /// Begins a page that was asked for at this time.
    pub(crate) fn begin(&mut self, seconds: f64) {
        self.next.clear();
        self.page += 1;
        self.seconds = seconds;
    }

    /// The increase of a counter since an earlier page; `None` if none is known.
    pub(crate) fn increase(&mut self, sample: &ScrapedSample<'_>) -> Option<CounterIncrease> {
        let key = self.key(sample);
        let now = KnownCounter {
            value: sample.value,
            seconds: self.seconds,
            time_ms: sample.time_ms,
            page: self.page,
        };
        let earlier = self.known.get(&key).copied();
        let Some(earlier) = earlier else {
            self.next.insert(key, now);
            return None;
        };
        let seconds = match (earlier.time_ms, now.time_ms) {
            (Some(before), Some(after)) => after.saturating_sub(before) as f64 / 1000.0,
            (_, _) => now.seconds - earlier.seconds,
        };
        if seconds == 0.0 {
            // The exporter shows the old sample again.
            let page = self.page;
            self.next.insert(key, KnownCounter { page, ..earlier });
            return None;
        }
        self.next.insert(key, now);
        let by = now.value - earlier.value;
        (seconds > 0.0 && by >= 0.0).then_some(CounterIncrease { by, seconds })
    }

    /// Keeps the counters of the page.
    pub(crate) fn commit(&mut self) {
        self.known.extend(self.next.drain());
        let page = self.page;
        self.known
            .retain(|_, counter| page - counter.page < KEPT_PAGES);
    }

    fn key(&self, sample: &ScrapedSample<'_>) -> u64 {
        let labels = sample.labels.iter();
        let labels = labels.map(|label| self.hasher.hash_one(label));
        let name = self.hasher.hash_one(sample.name);
        // A sum does not depend on the order of the labels.
        name.wrapping_add(labels.fold(0, u64::wrapping_add))
    }
}

/// When alerts without a time of their own were first seen.
#[derive(Debug, Default)]
pub(crate) struct SeenAlerts(HashMap<String, i64>);

impl SeenAlerts {
    /// The time at which each alert of a list was first seen; those that are not in it are forgotten.
    pub(crate) fn seen(&mut self, alerts: impl Iterator<Item = String>, now_ms: i64) -> Vec<i64> {
        let mut next = HashMap::new();
        let times = alerts
            .map(|alert| {
                let time = self.0.get(&alert).copied().unwrap_or(now_ms);
                *next.entry(alert).or_insert(time)
            })
            .collect();
        self.0 = next;
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(value: f64, time_ms: Option<i64>) -> ScrapedSample<'static> {
        ScrapedSample {
            name: "reads",
            labels: &[],
            value,
            time_ms,
        }
    }

    /// The increases of pages: a time, and the sample of each.
    fn increases(pages: &[(f64, f64, Option<i64>)]) -> Vec<Option<(f64, f64)>> {
        let mut state = CounterState::default();
        let pages = pages.iter().map(|&(seconds, value, time_ms)| {
            state.begin(seconds);
            let increase = state.increase(&sample(value, time_ms));
            state.commit();
            increase.map(|increase| (increase.by, increase.seconds))
        });
        pages.collect()
    }

    #[test]
    fn a_counter_grows_from_page_to_page_and_begins_again_when_it_falls() {
        assert_eq!(
            increases(&[
                (0.0, 5.0, None),
                (10.0, 25.0, None),
                (20.0, 25.0, None),
                (30.0, 3.0, None),
                (50.0, 4.0, None)
            ]),
            [
                None,
                Some((20.0, 10.0)),
                Some((0.0, 10.0)),
                None,
                Some((1.0, 20.0))
            ]
        );
    }

    #[test]
    fn the_times_of_the_page_count() {
        assert_eq!(
            increases(&[
                (0.0, 5.0, Some(1_000)),
                (60.0, 25.0, Some(31_000)),
                // The same sample again, as of an exporter that measures every two minutes.
                (120.0, 25.0, Some(31_000)),
                (180.0, 31.0, Some(91_000)),
                // The clock of the exporter was set back.
                (240.0, 37.0, Some(51_000)),
                (300.0, 43.0, Some(111_000))
            ]),
            [
                None,
                Some((20.0, 30.0)),
                None,
                Some((6.0, 60.0)),
                None,
                Some((6.0, 60.0))
            ]
        );
    }

    #[test]
    fn a_page_that_is_not_committed_changes_nothing() {
        let mut state = CounterState::default();
        state.begin(0.0);
        state.increase(&sample(5.0, None));
        state.commit();
        state.begin(10.0);
        assert!(state.increase(&sample(7.0, None)).is_some());
        state.begin(20.0);
        let increase = state.increase(&sample(9.0, None));
        assert_eq!(increase.map(|one| (one.by, one.seconds)), Some((4.0, 20.0)));
    }

    #[test]
    fn a_counter_is_known_by_its_labels_in_any_order_and_forgotten() {
        let labels = |names: [&'static str; 2]| names.map(|name| (name.into(), "v".into()));
        let mut state = CounterState::default();
        state.begin(0.0);
        let ab = labels(["a", "b"]);
        let ba = labels(["b", "a"]);
        let with = |labels| ScrapedSample {
            labels,
            ..sample(1.0, None)
        };
        state.increase(&with(&ab));
        state.commit();
        state.begin(1.0);
        assert!(state.increase(&with(&ba)).is_some());
        assert!(state.increase(&with(&ab[..1])).is_none());
        state.commit();
        for page in 0..KEPT_PAGES {
            state.begin(2.0 + page as f64);
            state.commit();
        }
        assert!(state.known.is_empty());
    }

    #[test]
    fn an_alert_keeps_the_time_at_which_it_was_first_seen() {
        let mut state = SeenAlerts::default();
        let mut seen = |alerts: &[&str], now| {
            let alerts: Vec<String> = alerts.iter().map(|one| (*one).to_owned()).collect();
            state.seen(alerts.into_iter(), now)
        };
        assert_eq!(seen(&["a"], 5), [5]);
        assert_eq!(seen(&["b", "a"], 6), [6, 5]);
        assert_eq!(seen(&[], 7), [0; 0]);
        assert_eq!(seen(&["a"], 8), [8]);
    }
}
