//! Rules for items of every format.

use delfin_plugin_api::text;

/// Maximum number of labels of a series, and of fields of an alert. Receivers have
/// far lower limits.
pub const MAX_LABELS: usize = 256;

/// The error of an alert without identity.
pub(super) const NAMELESS_ALERT: &str = "has neither `alert_id` nor `alert_name`";

/// Finds a repeated time in a series.
#[derive(Debug, Default)]
pub struct TimestampCheck {
    seen: Vec<i64>,
    unordered: bool,
}

impl TimestampCheck {
    /// Starts a series.
    pub fn clear(&mut self) {
        self.seen.clear();
        self.unordered = false;
    }

    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.seen.capacity() * size_of::<i64>()
    }

    /// Adds the time of the next point.
    pub fn push(&mut self, time: i64) {
        self.unordered |= self.seen.last().is_some_and(|&last| last >= time);
        self.seen.push(time);
    }

    /// A repeated time of the series. Times in ascending order, the usual case, cannot
    /// repeat and are not sorted.
    pub fn repeated(&mut self) -> Option<i64> {
        if !self.unordered {
            return None;
        }
        self.seen.sort_unstable();
        let mut pairs = self.seen.array_windows();
        pairs.find_map(|&[a, b]| (a == b).then_some(a))
    }
}

/// A part of the request body, short enough for an error text.
#[must_use]
pub fn excerpt(part: &str) -> String {
    text::excerpt(part, 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated(times: &[i64]) -> Option<i64> {
        let mut found = TimestampCheck::default();
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
