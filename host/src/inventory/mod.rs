//! The inventory: registered storages, their access data and schedules, and the alert
//! sources of all storages.
//!
//! Access data and the credentials of alert sources are sealed before they are written. The key is a
//! file in the state folder, or one that the operator names.
//! Changes are durable when a call returns.
//!
//! Knows nothing of drivers, the scheduler or the network. The trait [`Inventory`] hides
//! the database, so that another one can replace it. [`ResourceStore`] has what storages list, in
//! a file of its own.

mod alert_source;
#[cfg(test)]
mod conformance;
mod error;
mod key_place;
mod place;
mod postgres;
mod resources;
mod seal;
mod sealed;
mod sqlite;

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc, time::Duration};

use serde_json::{Map, Value};
use uuid::Uuid;

pub use alert_source::{
    AlertSource, SnmpAuthProtocol, SnmpConfig, SnmpPrivacyProtocol, SnmpSecurityLevel, SnmpVersion,
};
pub use error::{InventoryError, InventoryFault, InventoryOpenError, MoveError, RekeyError};
pub use place::InventoryPlace;
pub use postgres::StorageOfCluster;
pub(crate) use postgres::{
    check_key, cluster_of_storage, count_storages, list_storages_of_clusters,
};
pub(crate) use resources::RESOURCES;
pub use resources::{
    ListState, ResourceQuery, ResourceQueryError, ResourceStore, SortDirection, StoredResource,
    sort_keys,
};

pub(crate) use sqlite::{INVENTORY, SecretCheck};

use crate::collect::{StaticLabels, StorageInfo};

/// Access data of a storage: the objects `rest`, `ssh`, `cli`, `smis` and
/// `extra_attributes` of its registration. Contains passwords.
pub type Access = Map<String, Value>;

/// A registered storage. `Debug` omits the access data.
#[derive(Clone, PartialEq)]
pub struct Registration {
    pub id: Uuid,
    /// Vendor and model choose the driver.
    pub vendor: String,
    pub model: String,
    pub storage_name: Option<String>,
    pub access: Access,
    /// What the storage reported at its registration, or at the last sync.
    pub info: StorageInfo,
    pub schedule: PerformanceSchedule,
    /// What the operator adds to series and alerts.
    pub labels: Arc<StaticLabels>,
    /// In microseconds since the Unix epoch.
    pub created_us: i64,
    /// Last change, in microseconds since the Unix epoch.
    pub updated_us: Option<i64>,
}

/// Schedule of a registered storage's measurements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerformanceSchedule {
    /// Whether the storage is measured.
    pub enabled: bool,
    pub interval: Duration,
    /// Whether the time in which the host did not run is collected at the next start.
    pub backfill: bool,
}

/// Stores registrations. Calls block on the disk or on the database.
pub trait Inventory: Send + Sync {
    fn storages(&self) -> Result<Vec<Registration>, InventoryError>;

    fn add(&self, storage: &Registration) -> Result<(), InventoryError>;

    /// Replaces the schedule of a storage. Returns whether the storage exists.
    fn set_schedule(
        &self,
        id: Uuid,
        schedule: &PerformanceSchedule,
        updated_us: i64,
    ) -> Result<bool, InventoryError>;

    /// Replaces the access data of a storage. Returns whether the storage exists.
    fn set_access(
        &self,
        id: Uuid,
        access: &Access,
        updated_us: i64,
    ) -> Result<bool, InventoryError>;

    /// Replaces what a storage reported. Returns whether the storage exists.
    fn set_info(
        &self,
        id: Uuid,
        info: &StorageInfo,
        updated_us: i64,
    ) -> Result<bool, InventoryError>;

    /// Replaces the labels of a storage. Returns whether the storage exists.
    fn set_labels(
        &self,
        id: Uuid,
        labels: &StaticLabels,
        updated_us: i64,
    ) -> Result<bool, InventoryError>;

    fn alert_sources(&self) -> Result<Vec<AlertSource>, InventoryError>;

    /// Adds an alert source, or replaces that of the same storage.
    fn set_alert_source(&self, source: &AlertSource) -> Result<(), InventoryError>;

    /// Returns whether the storage had an alert source.
    fn remove_alert_source(&self, id: Uuid) -> Result<bool, InventoryError>;

    /// Removes a storage, its access data and its alert source. Returns whether the storage existed.
    fn remove(&self, id: Uuid) -> Result<bool, InventoryError>;

    /// Until when each storage was collected according to no journal of this host, in milliseconds since the Unix epoch: hosts of
    /// an earlier version did not note it there, and another cluster may have had the storage.
    fn earlier_progress(&self) -> Result<BTreeMap<String, i64>, InventoryError>;

    /// Seals all secrets with another key: the one in the file, or a new one in the state folder.
    /// Returns their number.
    fn rekey(&self, key_file: Option<&Path>) -> Result<usize, RekeyError>;

    /// The storages of another cluster of the same database, if a storage can be moved there.
    fn storages_of(&self, cluster: &str) -> Result<Vec<Registration>, MoveError>;

    /// Gives a storage to another cluster, with its access data and alert source, and the time until which it was collected. Returns
    /// whether the storage existed.
    fn move_to(
        &self,
        id: Uuid,
        cluster: &str,
        collected_until_ms: Option<i64>,
    ) -> Result<bool, MoveError>;

    /// Changes whenever another cluster has moved a storage here; `None`: none can.
    fn arrivals(&self) -> Result<Option<i64>, InventoryError>;

    /// Why changes would not last, although the inventory is open.
    fn fault(&self) -> Option<InventoryFault>;
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("id", &self.id)
            .field("vendor", &self.vendor)
            .field("model", &self.model)
            .field("storage_name", &self.storage_name)
            .field("schedule", &self.schedule)
            .finish_non_exhaustive()
    }
}
