//! Metrics of the memory of requests.

use std::{fmt, sync::Arc};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::family::FamilyWriter;
use crate::ingest::MemoryBudget;

#[derive(Debug)]
pub(super) struct MemoryCollector(pub(super) Arc<MemoryBudget>);

impl Collector for MemoryCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = FamilyWriter::new(encoder);
        page.single_gauge(
            "ingest_memory_bytes",
            "Memory of request bodies, and of batches until they are durable.",
            &self.0.used(),
        )?;
        page.single_gauge(
            "ingest_memory_capacity_bytes",
            "Limit of the memory of request bodies and batches, `api.max_ingest_bytes`.",
            &self.0.limit(),
        )
    }
}
