//! Metrics of the process.

use std::{fmt, iter::once};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::family::FamilyWriter;
use crate::{clock::now_ms, platform::own_usage};

#[derive(Debug)]
pub(super) struct ProcessCollector {
    started_seconds: f64,
}

impl ProcessCollector {
    pub(super) fn started_now() -> Self {
        Self {
            started_seconds: now_ms() as f64 / 1000.0,
        }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = FamilyWriter::new(encoder);
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        page.info("build", "Version of the host.", once(version))?;
        page.single_gauge(
            "start_time_seconds",
            "Start of the host, in seconds since the Unix epoch.",
            &self.started_seconds,
        )?;
        let Ok(usage) = own_usage() else {
            return Ok(());
        };
        page.single_counter(
            "process_cpu_seconds",
            "CPU time used.",
            &usage.used.cpu_seconds,
        )?;
        page.single_gauge(
            "process_resident_memory_bytes",
            "Resident memory.",
            &usage.used.resident_bytes,
        )?;
        if let Some(threads) = usage.threads {
            page.single_gauge("process_threads", "Threads.", &threads)?;
        }
        page.single_gauge(
            "process_open_fds",
            "Open file descriptors.",
            &usage.open_files,
        )
    }
}
