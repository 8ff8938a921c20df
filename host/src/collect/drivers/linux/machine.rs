//! What the driver asks of the machine by call, not by file: time and space.
//!
//! Behind a trait, so that tests decide what time it is and how full a file
//! system is.

use std::{
    io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

pub(super) trait Machine: Send {
    /// How long the machine has been awake since some fixed moment.
    fn awake(&self) -> Duration;

    /// The time of day, in milliseconds since the epoch.
    fn now_ms(&self) -> i64;

    /// Lets time pass.
    fn wait(&self, time: Duration);

    /// How much of a file system is used, as `df` counts it.
    fn used_percent(&self, mount_point: &Path) -> io::Result<f64>;
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
    // On Linux this clock stands still while the machine is suspended, and so do
    // the kernel's counters: a rate is over the time in which there could be any
    // input or output. Over the time of day, a night's sleep would hide the work
    // done before it.
    fn awake(&self) -> Duration {
        self.start.elapsed()
    }

    fn now_ms(&self) -> i64 {
        crate::clock::now_ms()
    }

    fn wait(&self, time: Duration) {
        thread::sleep(time);
    }

    // Blocks that are kept for root are neither used nor free to anybody else.
    fn used_percent(&self, mount_point: &Path) -> io::Result<f64> {
        let stat = rustix::fs::statvfs(mount_point)?;
        let used = stat.f_blocks.saturating_sub(stat.f_bfree) as f64;
        let usable = used + stat.f_bavail as f64;
        Ok(if usable > 0.0 {
            100.0 * used / usable
        } else {
            0.0
        })
    }
}
