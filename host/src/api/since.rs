//! A time in the past, as it is asked for: how long ago, or when.

use super::error::ApiError;
use crate::clock::parse_since;

/// The time in milliseconds since 1970.
pub(super) fn ms(since: &str, now_ms: i64) -> Result<i64, ApiError> {
    parse_since(since, now_ms).ok_or_else(|| {
        ApiError::invalid("`since` must be how long ago, as in `2h`, or a time in RFC 3339")
    })
}
