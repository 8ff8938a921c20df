//! Metrics of the processes of drivers.

use std::fmt;

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::family::FamilyWriter;
use crate::{collect::CollectMonitor, plugin::DriverProcesses};

#[derive(Debug)]
pub(super) struct DriverCollector {
    pub(super) processes: DriverProcesses,
    pub(super) storages: CollectMonitor,
}

impl Collector for DriverCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = FamilyWriter::new(encoder);
        let storages = self.storages.stats();
        let views = self.processes.views(|id| storages.contains_key(id));
        let running = views
            .iter()
            .filter_map(|(id, view)| Some(([("storage_id", id.as_str())], view.usage?)));
        let cpu = running
            .clone()
            .map(|(label, usage)| (label, usage.cpu_seconds));
        let help = "CPU time used by the process of the driver of a storage.";
        page.counter("driver_process_cpu_seconds", help, cpu)?;
        let memory = running.map(|(label, usage)| (label, usage.resident_bytes));
        let help = "Resident memory of the process of the driver of a storage.";
        page.gauge("driver_process_resident_memory_bytes", help, memory)?;
        let restarts = views.iter().flat_map(|(id, view)| {
            let reasons = view.restarts.by_reason().into_iter();
            reasons.map(move |(reason, times)| {
                ([("storage_id", id.as_str()), ("reason", reason)], times)
            })
        });
        let help = "Processes of the driver of a storage that were replaced, by how they ended.";
        page.counter("driver_restarts", help, restarts)
    }
}
