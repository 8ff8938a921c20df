//! Clocks of the machine, and the usage of its file systems.
//!
//! Behind a trait, so that tests set the time and the usage.

use std::{
    io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{facts::FilesystemUsage, system};

pub(super) trait Machine: Send {
    /// How long the machine has been awake, since an arbitrary start.
    fn awake(&self) -> Duration;

    /// The time of day, in milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;

    fn wait(&self, time: Duration);

    fn usage(&self, mount_point: &Path) -> io::Result<FilesystemUsage>;
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
        system::usage(mount_point)
    }
}
