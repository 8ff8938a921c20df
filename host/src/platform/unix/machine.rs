//! This machine, and what processes use of it.

use std::{io, time::Duration};

use procfs::{
    ProcResult,
    process::{ProcState, Process, Stat},
};
use rustix::time::{ClockId, clock_gettime};

use crate::platform::machine::{OwnUsage, ResourceUsage};

/// The vendor of the driver for the machine that the host runs on, if it has one.
pub(crate) const OWN_VENDOR: Option<&str> = if cfg!(target_os = "linux") {
    Some("linux")
} else {
    None
};

/// The name of this machine.
pub(crate) fn machine_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// A clock that cannot be set, and that goes on while the machine is suspended.
pub(crate) fn running_time() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

/// What tells this machine, as it runs since it was started, from every other; `None` if the system does not say it. Containers have
/// that of their machine.
pub(crate) fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// Time of a processor that this thread has used.
pub(crate) fn thread_processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// # Errors
///
/// The system does not tell.
pub(crate) fn own_usage() -> io::Result<OwnUsage> {
    let usage = || -> ProcResult<OwnUsage> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        Ok(OwnUsage {
            used: used(&stat),
            threads: Some(stat.num_threads),
            open_files: process.fd_count()? as u64,
        })
    };
    usage().map_err(io::Error::other)
}

/// What a process uses; `None` if it has ended.
pub(crate) fn usage_of(pid: u32) -> Option<ResourceUsage> {
    let stat = Process::new(pid.cast_signed()).and_then(|process| process.stat());
    let stat = stat.ok()?;
    let is_running = stat.state().is_ok_and(|state| state != ProcState::Zombie);
    is_running.then(|| used(&stat))
}

fn used(stat: &Stat) -> ResourceUsage {
    let ticks = (stat.utime + stat.stime) as f64;
    ResourceUsage {
        resident_bytes: stat.rss * procfs::page_size(),
        cpu_seconds: ticks / procfs::ticks_per_second() as f64,
    }
}
