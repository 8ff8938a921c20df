//! A time in the past, as it is asked for: how long ago, or when.

use std::time::{Duration, SystemTime};

use super::error::ApiError;

/// The time in milliseconds since 1970.
pub(super) fn ms(since: &str, now_ms: i64) -> Result<i64, ApiError> {
    let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    if let Ok(ago) = humantime::parse_duration(since) {
        return Ok(now_ms.saturating_sub(ms(ago)));
    }
    let time = humantime::parse_rfc3339(since).map_err(|_| {
        ApiError::invalid("`since` must be how long ago, as in `2h`, or a time in RFC 3339")
    })?;
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH);
    Ok(since_1970.map_or(0, ms))
}
