//! The time of a call, on two clocks.

use std::time::{Instant, SystemTime};

#[derive(Clone, Copy)]
pub(crate) struct Now {
    /// For the names of rotated files.
    pub(super) wall: SystemTime,
    /// For ages: it does not see that the system clock is set.
    pub(super) monotonic: Instant,
}

impl Now {
    pub(crate) fn read() -> Self {
        Self {
            wall: SystemTime::now(),
            monotonic: Instant::now(),
        }
    }
}
