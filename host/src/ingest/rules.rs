//! What every item must keep to, whatever the format it came in.

use std::ops::RangeInclusive;

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

/// What was sent, short and printable enough for an error.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut short = String::new();
    for (count, char) in text.chars().enumerate() {
        if count == LONGEST {
            short.push('…');
            break;
        }
        if char.is_control() {
            short.extend(char.escape_debug());
        } else {
            short.push(char);
        }
    }
    short
}

/// A reason, however long what it quotes is.
pub(super) fn shorten(reason: &str) -> String {
    const LONGEST: usize = 300;
    match reason.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
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

    #[test]
    fn an_excerpt_is_short_and_printable() {
        assert_eq!(excerpt("a\nb"), "a\\nb");
        assert_eq!(excerpt(&"é".repeat(100)), format!("{}…", "é".repeat(60)));
    }
}
