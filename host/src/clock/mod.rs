//! The wall clock, ages, and times as the journal and the API write them.
//!
//! Times are milliseconds since the Unix epoch. A time before the epoch counts as
//! 0. The age of a stored time comes from [`HostClock`], never from a difference to
//! the wall clock, which can be set.

mod history;
mod history_store;
mod host_clock;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use delfin_plugin_api::time::{millis, now_ms};

pub use history_store::{DatabaseHistory, HistoryFile, HistoryStore};
pub(crate) use host_clock::check_file;
pub use host_clock::{ClockKeeper, HostClock};

/// Now, in microseconds since the Unix epoch.
pub(crate) fn now_us() -> i64 {
    let now = since_epoch(SystemTime::now());
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

/// The duration of that many milliseconds; zero for a negative number, as it
/// appears when the clock was set back.
pub(crate) fn from_millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

/// A time in milliseconds since the Unix epoch, as RFC 3339 writes it.
pub(crate) fn rfc3339(ms: i64) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + from_millis(ms)).to_string()
}

/// A time in microseconds since the Unix epoch, as RFC 3339 writes it.
pub(crate) fn rfc3339_micros(us: i64) -> String {
    let since = Duration::from_micros(u64::try_from(us).unwrap_or_default());
    humantime::format_rfc3339_micros(UNIX_EPOCH + since).to_string()
}

/// Reads a time in the past: how long ago, such as `2h`, or a time in RFC 3339.
///
/// Returns milliseconds since the Unix epoch, and `None` for any other text.
pub(crate) fn parse_since(text: &str, now_ms: i64) -> Option<i64> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Some(now_ms.saturating_sub(millis(ago)));
    }
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.timestamp_millis())
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_rfc_3339() {
        assert_eq!(rfc3339(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert_eq!(rfc3339(-1), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            rfc3339_micros(1_700_000_000_123_456),
            "2023-11-14T22:13:20.123456Z"
        );
    }

    #[test]
    fn a_past_time_is_an_age_or_a_time_in_rfc_3339() {
        let now = 1_700_000_000_000;
        assert_eq!(parse_since("2s", now), Some(now - 2_000));
        assert_eq!(
            parse_since("2023-11-14T22:13:20.123Z", now),
            Some(1_700_000_000_123)
        );
        assert_eq!(
            parse_since("2023-11-14t23:13:20+01:00", now),
            Some(1_700_000_000_000)
        );
        assert_eq!(parse_since("yesterday", now), None);
    }

    #[test]
    fn a_duration_is_never_negative() {
        assert_eq!(from_millis(-1), Duration::ZERO);
        assert_eq!(from_millis(1_500), Duration::from_millis(1_500));
    }
}
