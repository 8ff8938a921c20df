//! Metrics of the memory of batches.

use std::{fmt, sync::Arc};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::family::FamilyWriter;
use crate::memory::{MemoryBudget, MemoryPart};

#[derive(Debug)]
pub(super) struct MemoryCollector(pub(super) Arc<MemoryBudget>);

impl Collector for MemoryCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = FamilyWriter::new(encoder);
        let parts = MemoryPart::ALL.iter();
        page.gauge(
            "memory_used_bytes",
            "Memory of requests until their batches are durable, of batches that exporters have read, and of batches that no exporter uses now.",
            parts.map(|part| ([("part", part.as_str())], self.0.used(*part))),
        )?;
        page.single_gauge(
            "memory_max_bytes",
            "Limit of this memory, `memory.max`.",
            &self.0.limit(),
        )
    }
}
