//! How long a journal that cannot be written waits before it is opened again.

use std::time::Duration;

pub(super) const MIN_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(5);

/// The wait after the one that was in vain.
pub(super) fn longer(delay: Duration) -> Duration {
    (delay * 2).clamp(MIN_DELAY, MAX_DELAY)
}
