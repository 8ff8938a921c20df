//! What every item must keep to, whatever the format it came in.

use std::ops::RangeInclusive;

use delfin_plugin_api::text;

/// Labels of one series, and keys of one alert. The exporters' own systems stop
/// far earlier.
pub(super) const MAX_LABELS: usize = 256;

/// From 1970 to the end of the year 9999, in milliseconds: what a date can say,
/// and what microseconds are caught by.
pub(super) const TIMES: RangeInclusive<i64> = 0..=253_402_300_799_999;

/// Why an alert is refused that nothing could tell from another.
pub(super) const NAMELESS_ALERT: &str = "neither `alert_id` nor `alert_name`";

/// Why a time outside [`TIMES`] is refused.
pub(super) fn out_of_range(time: impl std::fmt::Display) -> String {
    format!("`{time}` is out of range (milliseconds since 1970, up to the year 9999)")
}

/// Finds a time that comes twice in a series.
#[derive(Debug, Default)]
pub(super) struct Times {
    seen: Vec<i64>,
    unordered: bool,
}

impl Times {
    /// Begins a series.
    pub(super) fn clear(&mut self) {
        self.seen.clear();
        self.unordered = false;
    }

    /// Adds the time of its next point.
    pub(super) fn push(&mut self, time: i64) {
        self.unordered |= self.seen.last().is_some_and(|&last| last >= time);
        self.seen.push(time);
    }

    /// Ends it. Only a series whose points are not in order pays for sorting.
    pub(super) fn repeated(&mut self) -> Option<i64> {
        if !self.unordered {
            return None;
        }
        self.seen.sort_unstable();
        let mut pairs = self.seen.array_windows();
        pairs.find_map(|&[a, b]| (a == b).then_some(a))
    }
}

/// A part of the request body, short enough for an error text.
pub(super) fn excerpt(part: &str) -> String {
    text::excerpt(part, 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated(times: &[i64]) -> Option<i64> {
        let mut found = Times::default();
        found.push(1);
        found.clear();
        times.iter().for_each(|&time| found.push(time));
        found.repeated()
    }

    #[test]
    fn a_time_that_comes_twice_is_found_in_any_order() {
        assert_eq!(repeated(&[]), None);
        assert_eq!(repeated(&[1, 2, 3]), None);
        assert_eq!(repeated(&[3, 1, 2]), None);
        assert_eq!(repeated(&[1, 2, 2]), Some(2));
        assert_eq!(repeated(&[7, 9, 8, 7]), Some(7));
    }
}
