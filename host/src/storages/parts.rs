//! What the storages work with.

use crate::{
    alert::ActiveAlerts,
    collect::DriverRegistry,
    config::{CollectionConfig, StorageConfig},
    inventory::InventoryPlace,
};

/// What [`Storages`](super::Storages) works with.
pub struct StorageParts<'a> {
    pub declared: &'a [StorageConfig],
    pub place: InventoryPlace,
    pub registry: DriverRegistry,
    pub collection: &'a CollectionConfig,
    /// Counted in the series of each storage.
    pub alerts: ActiveAlerts,
}
