//! Why something cannot be done with a storage.

use crate::{
    collect::{AskError, CallError},
    inventory::InventoryError,
};

/// Why something cannot be done with a storage. Texts are Delfin's where it has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such storage.
    #[error("Storage {id} could not be found.")]
    NotFound {
        /// What was asked for.
        id: String,
    },
    /// There is no access data for such a storage.
    #[error("Access information for storage {id} could not be found.")]
    AccessNotFound {
        /// What was asked for.
        id: String,
    },
    /// It is registered already.
    #[error("Storage already exists.")]
    AlreadyExists,
    /// There is no driver for it.
    #[error("Storage driver '{driver}'could not be found.")]
    DriverNotFound {
        /// Vendor and model.
        driver: String,
    },
    /// It stands in the configuration file.
    #[error("Storage {id} is declared in the configuration file and can be changed there only.")]
    Declared {
        /// Which one.
        id: String,
    },
    /// It is not asked any more: it was removed meanwhile, or the host stops.
    #[error("Storage is not collected from any more.")]
    Gone,
    /// Its driver has no answer.
    #[error("{0}")]
    Call(CallError),
    /// Its driver takes too long.
    #[error("Storage does not answer in time.")]
    Silent,
    /// What it said could not be kept.
    #[error("The alerts cannot be kept: {reason}.")]
    NotKept {
        /// Why not.
        reason: String,
    },
    /// The inventory cannot be read or written.
    #[error("The inventory cannot be used.")]
    Inventory {
        /// Why not, for the log.
        log: String,
    },
}

impl From<InventoryError> for Refusal {
    fn from(error: InventoryError) -> Self {
        Self::Inventory {
            log: error.to_string(),
        }
    }
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<AskError> for Refusal {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Gone => Self::Gone,
            AskError::Call(error) => Self::Call(error),
            AskError::NotTaken { reason } => Self::NotKept { reason },
        }
    }
}
