//! Errors of operations on storages.

use crate::{
    collect::{DriverCallError, StorageRequestError},
    inventory::{InventoryError, InventoryFault},
};

/// Why an operation on a storage failed. The texts are in `api/error.rs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageError {
    NotFound {
        id: String,
    },
    /// The storage has no alert source.
    AlertSourceNotFound {
        id: String,
    },
    AlreadyExists,
    /// The new access data leads to another storage.
    OtherSerialNumber {
        /// That of the other storage.
        found: String,
    },
    /// The access data is not complete.
    AccessIncomplete {
        /// What is missing, such as `ssh.password`.
        field: String,
    },
    /// A sync of the storage has not ended.
    Syncing {
        id: String,
    },
    DriverNotFound {
        /// Vendor and model.
        driver: String,
    },
    /// The configuration declares the storage.
    Declared {
        id: String,
    },
    /// The storage was removed meanwhile, or the host stops.
    Gone,
    Call(DriverCallError),
    /// The driver did not return in time.
    Timeout,
    /// The journal did not accept the alerts.
    NotStored {
        reason: String,
    },
    /// A key of the inventory cannot be used.
    Key {
        reason: String,
    },
    /// The registered storages are unknown, because the inventory could not be opened.
    Unknown(InventoryFault),
    Inventory {
        /// The reason, for the log only.
        log: String,
    },
}

impl From<InventoryError> for StorageError {
    fn from(error: InventoryError) -> Self {
        Self::Inventory {
            log: error.to_string(),
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
