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
    sorted: Vec<i64>,
}

impl TimestampCheck {
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.sorted.capacity() * size_of::<i64>()
    }

    /// A repeated one of these times. Times in ascending order, the usual case, cannot
    /// repeat and are not sorted.
    pub fn repeated(&mut self, times: &[i64]) -> Option<i64> {
        if times.array_windows().all(|[a, b]| a < b) {
            return None;
        }
        self.sorted.clear();
        self.sorted.extend_from_slice(times);
        self.sorted.sort_unstable();
        let mut pairs = self.sorted.array_windows();
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

    #[test]
    fn a_time_that_comes_twice_is_found_in_any_order() {
        let mut check = TimestampCheck::default();
        let mut repeated = |times: &[i64]| check.repeated(times);
        assert_eq!(repeated(&[]), None);
        assert_eq!(repeated(&[1, 2, 3]), None);
        assert_eq!(repeated(&[3, 1, 2]), None);
        assert_eq!(repeated(&[1, 2, 2]), Some(2));
        assert_eq!(repeated(&[7, 9, 8, 7]), Some(7));
    }
}
