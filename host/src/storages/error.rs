//! Errors of operations on storages.

use crate::{
    collect::{DriverCallError, StorageRequestError},
    inventory::InventoryError,
};

/// Why an operation on a storage failed. Clients of the API see the texts in
/// `api/error.rs`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    #[error("Storage {id} could not be found.")]
    NotFound { id: String },
    #[error("Access information for storage {id} could not be found.")]
    AccessNotFound { id: String },
    #[error("Storage already exists.")]
    AlreadyExists,
    #[error("Storage driver '{driver}'could not be found.")]
    DriverNotFound {
        /// Vendor and model.
        driver: String,
    },
    /// The configuration declares the storage.
    #[error("Storage {id} is declared in the configuration file and can be changed there only.")]
    Declared { id: String },
    /// The storage was removed meanwhile, or the host stops.
    #[error("Storage is no longer collected.")]
    Gone,
    #[error("{0}")]
    Call(DriverCallError),
    /// The driver did not return in time.
    #[error("Storage does not answer in time.")]
    Timeout,
    /// The journal did not accept the alerts.
    #[error("The alerts cannot be stored: {reason}.")]
    NotStored { reason: String },
    #[error("The inventory cannot be used.")]
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
