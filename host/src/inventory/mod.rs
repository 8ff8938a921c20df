//! The inventory: the storages that were registered, how they are reached, how
//! often they are asked, and how far each is collected.
//!
//! Access data is sealed before it is written, with a key that lies beside the
//! inventory in a file of its own. What is kept is durable when a call returns.
//!
//! Knows nothing of drivers, schedules or the network. [`Inventory`] is free of
//! the store's types, so that another store can take its place.

mod error;
mod seal;
mod sqlite;

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

pub use error::{InventoryError, OpenError};

use crate::collect::StorageInfo;

/// How a storage is reached: `rest`, `ssh`, `cli`, `smis` and `extra_attributes`,
/// each as it was given. It holds passwords.
pub type Access = Map<String, Value>;

/// A storage that was registered.
///
/// Its `Debug` form leaves out how it is reached.
#[derive(Clone, PartialEq)]
pub struct Registration {
    /// Its id.
    pub id: Uuid,
    /// The vendor, which with the model chooses the driver.
    pub vendor: String,
    /// The model.
    pub model: String,
    /// The name that it was registered with.
    pub storage_name: Option<String>,
    /// How it is reached.
    pub access: Access,
    /// Who it says it is.
    pub info: StorageInfo,
    /// How often it is measured.
    pub polling: Polling,
    /// When it was registered, in microseconds since the epoch.
    pub created_us: i64,
    /// When it was changed last.
    pub updated_us: Option<i64>,
}

/// How often a storage is measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Polling {
    /// Whether it is measured at all.
    pub perf_collection: bool,
    /// How often, if it is.
    pub interval: Duration,
    /// Whether what was missed while the host did not run is asked for.
    pub is_historic: bool,
}

/// Where registrations are kept. Calls block for as long as the disk takes.
pub trait Inventory: Send + Sync {
    /// Every storage that is registered.
    fn storages(&self) -> Result<Vec<Registration>, InventoryError>;

    /// Keeps a storage.
    fn add(&self, storage: &Registration) -> Result<(), InventoryError>;

    /// Keeps another rhythm for a storage; whether there is such a storage.
    fn set_polling(
        &self,
        id: Uuid,
        polling: &Polling,
        updated_us: i64,
    ) -> Result<bool, InventoryError>;

    /// Forgets a storage and its access data; whether there was such a storage.
    fn remove(&self, id: Uuid) -> Result<bool, InventoryError>;

    /// Up to when each storage is collected, in milliseconds since the epoch, by id.
    fn progress(&self) -> Result<BTreeMap<String, i64>, InventoryError>;

    /// Keeps up to when storages are collected.
    fn set_progress(&self, until_ms: &BTreeMap<String, i64>) -> Result<(), InventoryError>;
}

/// Opens the inventory in a state folder that this host has for itself.
///
/// # Errors
///
/// It cannot be read, or its access data cannot be opened.
pub fn open(state_dir: &Path) -> Result<Arc<dyn Inventory>, OpenError> {
    Ok(Arc::new(sqlite::SqliteInventory::open(state_dir)?))
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("id", &self.id)
            .field("vendor", &self.vendor)
            .field("model", &self.model)
            .field("storage_name", &self.storage_name)
            .field("polling", &self.polling)
            .finish_non_exhaustive()
    }
}
