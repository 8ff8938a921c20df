//! Errors of operations on storages.

use super::RegisteredTwin;
use crate::{
    collect::{DriverCallError, StorageRequestError},
    inventory::{InventoryError, InventoryFault},
};

/// Why an operation on a storage failed. These texts are for the log, those of the API are in `api/error.rs`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    #[error("storage `{id}` does not exist")]
    NotFound { id: String },
    /// The storage has no alert source.
    #[error("storage `{id}` has no alert source")]
    AlertSourceNotFound { id: String },
    /// The storage is registered already, under this id.
    #[error("{0}")]
    AlreadyExists(RegisteredTwin),
    /// The new access data leads to another storage.
    #[error("the access data leads to another storage, with the serial number `{found}`")]
    OtherSerialNumber {
        /// That of the other storage.
        found: String,
    },
    /// The access data is not complete.
    #[error("`{field}` of the access data is missing")]
    AccessIncomplete {
        /// What is missing, such as `ssh.password`.
        field: String,
    },
    /// A sync of the storage has not ended.
    #[error("a sync of storage `{id}` has not ended")]
    Syncing { id: String },
    #[error("no driver for {driver}")]
    DriverNotFound {
        /// Vendor and model.
        driver: String,
    },
    /// The configuration declares the storage.
    #[error("the configuration declares storage `{id}`")]
    Declared { id: String },
    /// The storage cannot be moved to the cluster.
    #[error("storage `{id}` cannot be moved: {reason}")]
    CannotMove { id: String, reason: String },
    /// The storage was removed meanwhile, or the host stops.
    #[error("the storage was removed meanwhile, or the host stops")]
    Gone,
    #[error(transparent)]
    Call(DriverCallError),
    /// The driver did not return in time.
    #[error("the driver did not return in time")]
    Timeout,
    /// The journal did not accept the alerts.
    #[error("the journal did not accept the alerts: {reason}")]
    NotStored { reason: String },
    /// A key of the inventory cannot be used.
    #[error("a key of the inventory cannot be used: {reason}")]
    Key { reason: String },
    /// The registered storages are unknown, because the inventory could not be opened.
    #[error("the registered storages are unknown, because {0}")]
    Unknown(InventoryFault),
    #[error("the inventory failed: {log}")]
    Inventory {
        /// The reason, for the log only.
        log: String,
    },
    /// The database of the cluster did not take the change, and has nothing of it.
    #[error("the database of the cluster cannot be used: {reason}")]
    Database { reason: String },
}

impl From<InventoryError> for StorageError {
    fn from(error: InventoryError) -> Self {
        match error {
            InventoryError::Database { reason } => Self::Database { reason },
            InventoryError::Unavailable { .. } | InventoryError::Sealed { .. } => Self::Inventory {
                log: error.to_string(),
            },
        }
    }
}

impl From<DriverCallError> for StorageError {
    fn from(error: DriverCallError) -> Self {
        Self::Call(error)
    }
}

impl From<StorageRequestError> for StorageError {
    fn from(error: StorageRequestError) -> Self {
        match error {
            StorageRequestError::Gone => Self::Gone,
            StorageRequestError::Call(error) => Self::Call(error),
            StorageRequestError::NotAccepted { reason } => Self::NotStored { reason },
        }
    }
}
