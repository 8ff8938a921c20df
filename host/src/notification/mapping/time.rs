//! Times in texts.

use chrono::DateTime;

/// RFC 3339, or seconds or milliseconds since the Unix epoch.
pub fn parse_time(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    match text.parse::<i64>().ok()? {
        // From 2001 on, in seconds and in milliseconds.
        seconds @ 1_000_000_000..=99_999_999_999 => seconds.checked_mul(1_000),
        milliseconds @ 1_000_000_000_000.. => Some(milliseconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rfc_3339_or_a_number() {
        assert_eq!(parse_time("1700000000"), Some(1_700_000_000_000));
        assert_eq!(parse_time(" 1700000000123 "), Some(1_700_000_000_123));
        assert_eq!(
            parse_time("2023-11-14T23:13:20+01:00"),
            Some(1_700_000_000_000)
        );
        for other in ["", "7", "-1", "yesterday"] {
            assert_eq!(parse_time(other), None, "{other}");
        }
    }
}
