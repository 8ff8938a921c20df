//! What a client is told when something cannot be done with a storage.

use crate::{
    api::error::ApiError,
    collect::{DriverCallError, DriverError},
    storages::StorageError,
};

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NotFound { id } => Self::StorageNotFound { id },
            StorageError::AlertSourceNotFound { id } => Self::AlertSourceNotFound { id },
            StorageError::AlreadyExists(twin) => Self::StorageAlreadyExists {
                detail: twin.to_string(),
            },
            StorageError::OtherSerialNumber { found } => {
                let detail = format!("The access data leads to the storage `{found}`.");
                Self::StorageSerialNumberMismatch { detail }
            }
            StorageError::AccessIncomplete { field } => {
                Self::invalid(format!("`{field}` is required"))
            }
            StorageError::Syncing { id } => Self::StorageIsSyncing { id },
            StorageError::DriverNotFound { driver } => Self::StorageDriverNotFound { driver },
            StorageError::Declared { id } => Self::StorageIsDeclared { id },
            StorageError::CannotMove { id, reason } => Self::StorageCannotMove { id, reason },
            StorageError::Gone => Self::StorageRemoved,
            StorageError::Call(error) => error.into(),
            StorageError::Timeout => Self::StorageTimeout,
            StorageError::NotStored { reason } => Self::AlertsNotDurable { detail: reason },
            StorageError::Unknown(fault) => Self::RegisteredStoragesUnknown { fault },
            StorageError::Key { reason } => Self::invalid(reason),
            StorageError::Inventory { log } => Self::InventoryUnavailable { log },
            StorageError::Database { reason } => Self::DatabaseUnavailable { reason },
        }
    }
}

impl From<DriverCallError> for ApiError {
    fn from(error: DriverCallError) -> Self {
        let detail = error.to_string();
        match error {
            DriverCallError::Unknown(error) => Self::StorageDriverNotFound {
                driver: format!("{} {}", error.vendor, error.model),
            },
            DriverCallError::Panicked => Self::StorageDriverPanicked { detail },
            DriverCallError::Driver(error) => match error {
                DriverError::Unavailable { .. }
                | DriverError::Failed { .. }
                | DriverError::TooMuch(_) => Self::StorageBackend { detail },
                DriverError::BadAnswer { .. } => Self::StorageBadResponse { detail },
                DriverError::Refused { .. } => Self::StorageRefusedLogin { detail },
                DriverError::Option { .. } | DriverError::Options { .. } => {
                    Self::StorageDriverOption { detail }
                }
                DriverError::Unsupported { .. } => Self::StorageUnsupported { detail },
            },
        }
    }
}
