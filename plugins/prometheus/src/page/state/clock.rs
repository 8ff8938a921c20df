//! The time of arrival of samples: it begins at the system clock, and advances with a
//! clock that cannot be set. So no step of the system clock lets a series expire, or
//! brings an expired one back.

use std::time::Instant;

use delfin_plugin_api::time::millis;

#[derive(Debug, Clone, Copy)]
pub struct PageClock {
    start_ms: i64,
    started: Instant,
}

impl PageClock {
    /// Begins now, at a time in milliseconds since the Unix epoch.
    pub(super) fn starting_at(start_ms: i64) -> Self {
        Self {
            start_ms,
            started: Instant::now(),
        }
    }

    pub fn now_ms(&self) -> i64 {
        let elapsed = millis(self.started.elapsed());
        self.start_ms.saturating_add(elapsed)
    }
}
