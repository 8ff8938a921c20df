//! Whether the registered storages are known.

use std::fmt;

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::family::FamilyWriter;

/// Does not change while the host runs: the inventory is opened at the start.
#[derive(Debug)]
pub(super) struct InventoryCollector {
    pub(super) is_known: bool,
}

impl Collector for InventoryCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        FamilyWriter::new(encoder).single_gauge(
            "inventory_available",
            "1 if the registered storages are known, 0 if the inventory could not be opened.",
            &u64::from(self.is_known),
        )
    }
}
