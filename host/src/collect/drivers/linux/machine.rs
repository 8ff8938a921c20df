//! System calls of the driver: clocks and file system usage.
//!
//! Behind a trait, so that tests set the time and the usage.

use std::{
    io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

pub(super) trait Machine: Send {
    /// How long the machine has been awake, since an arbitrary start.
    fn awake(&self) -> Duration;

    /// The time of day, in milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;

    fn wait(&self, time: Duration);

    fn usage(&self, mount_point: &Path) -> io::Result<FilesystemUsage>;
}

/// Usage of a file system in bytes. Blocks that are reserved for root count neither as used nor
/// as free.
#[derive(Clone, Copy, Debug)]
pub(super) struct FilesystemUsage {
    pub(super) total: u64,
    pub(super) used: u64,
    pub(super) free: u64,
}

impl FilesystemUsage {
    /// Used space in percent, as `df` shows it.
    pub(super) fn used_percent(self) -> f64 {
        let usable = (self.used + self.free) as f64;
        if usable > 0.0 {
            100.0 * self.used as f64 / usable
        } else {
            0.0
        }
    }
}

/// The machine that the host runs on.
pub(super) struct ThisMachine {
    start: Instant,
}

impl ThisMachine {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Machine for ThisMachine {
    // On Linux this clock stops while the machine is suspended, and so do the kernel's
    // counters: the rate is per second of operation. With the wall clock, a suspended
    // night would hide the load before it.
    fn awake(&self) -> Duration {
        self.start.elapsed()
    }

    fn now_ms(&self) -> i64 {
        crate::clock::now_ms()
    }

    fn wait(&self, time: Duration) {
        thread::sleep(time);
    }

    fn usage(&self, mount_point: &Path) -> io::Result<FilesystemUsage> {
        let stat = rustix::fs::statvfs(mount_point)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(FilesystemUsage {
            total: bytes(stat.f_blocks),
            used: bytes(stat.f_blocks.saturating_sub(stat.f_bfree)),
            free: bytes(stat.f_bavail),
        })
    }
}
