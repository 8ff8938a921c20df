//! Whether this process may write to its state folder.
//!
//! A host of a cluster may write as long as it can prove that it holds the lease. The guard is the time at which the proof ends, on
//! a clock that also counts the time for which the process or the machine was paused. Every connection that
//! writes asks it when it commits, so that nothing is committed later. A host without a cluster may always
//! write.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::platform::running_time;

/// Why nothing is written while the guard is closed.
pub(crate) const LEASE_OVER: &str = "the lease of this host is over";

/// The guard of this process.
pub(crate) static WRITE_GUARD: WriteGuard = WriteGuard::new();

/// Without an end.
const UNLIMITED: u64 = u64::MAX;

/// The end of the permission in milliseconds of [`running_time`].
#[derive(Debug)]
pub(crate) struct WriteGuard(AtomicU64);

impl WriteGuard {
    /// A guard that is open without an end.
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(UNLIMITED))
    }

    /// Whether the process may write now.
    pub(crate) fn is_open(&self) -> bool {
        match self.0.load(Ordering::Acquire) {
            UNLIMITED => true,
            end => millis(running_time()) < end,
        }
    }

    /// For files that are not databases: ask right before they change.
    ///
    /// # Errors
    ///
    /// The process may not write now.
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.is_open() {
            return Ok(());
        }
        Err(io::Error::other(LEASE_OVER))
    }

    /// The process may not write, until [`Self::open_until`].
    pub(crate) fn close(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// The process may write until this time of [`running_time`].
    pub(crate) fn open_until(&self, end: Duration) {
        self.0.store(millis(end), Ordering::Release);
    }

    /// How long the process may still write; zero if it may not.
    pub(crate) fn remaining(&self) -> Duration {
        let end = self.0.load(Ordering::Acquire);
        Duration::from_millis(end).saturating_sub(running_time())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(UNLIMITED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_ends_at_its_time_and_without_one_never() {
        let guard = WriteGuard::new();
        assert!(guard.is_open());
        guard.close();
        assert!(!guard.is_open());
        assert!(guard.check().is_err());
        assert_eq!(guard.remaining(), Duration::ZERO);
        guard.open_until(running_time() + Duration::from_mins(1));
        assert!(guard.is_open());
        assert!(guard.remaining() > Duration::from_secs(30));
        guard.open_until(running_time());
        assert!(!guard.is_open());
    }
}
