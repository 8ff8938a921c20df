//! The process itself: what it is, and what it takes.

use std::{fmt, iter::once};

use procfs::process;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::page::Page;
use crate::clock::now_ms;

/// Asks the system.
#[derive(Debug)]
pub(super) struct Process {
    started_seconds: f64,
}

impl Process {
    pub(super) fn started_now() -> Self {
        Self {
            started_seconds: now_ms() as f64 / 1000.0,
        }
    }
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page::new(encoder);
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        page.info("build", "What this host is.", once(version))?;
        page.single_gauge(
            "start_time_seconds",
            "When the host started, in seconds since 1970.",
            &self.started_seconds,
        )?;
        let Ok(taken) = Taken::now() else {
            return Ok(());
        };
        page.single_counter(
            "process_cpu_seconds",
            "Processor time used.",
            &taken.cpu_seconds,
        )?;
        page.single_gauge(
            "process_resident_memory_bytes",
            "Memory held.",
            &taken.resident_bytes,
        )?;
        page.single_gauge("process_threads", "Threads.", &taken.threads)?;
        page.single_gauge(
            "process_open_fds",
            "File descriptors open.",
            &taken.open_files,
        )
    }
}

/// What the process takes of the machine.
struct Taken {
    cpu_seconds: f64,
    resident_bytes: u64,
    threads: i64,
    open_files: usize,
}

impl Taken {
    fn now() -> procfs::ProcResult<Self> {
        let process = process::Process::myself()?;
        let stat = process.stat()?;
        let ticks = (stat.utime + stat.stime) as f64;
        Ok(Self {
            cpu_seconds: ticks / procfs::ticks_per_second() as f64,
            resident_bytes: stat.rss * procfs::page_size(),
            threads: stat.num_threads,
            open_files: process.fd_count()?,
        })
    }
}
