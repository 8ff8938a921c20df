//! Errors of the inventory.

use std::{fmt, io, path::PathBuf};

use serde::Serialize;
use uuid::Uuid;

use crate::{postgres::DatabaseFailure, sqlite::DatabaseError};

/// Why the inventory could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    #[error("the inventory cannot be used: {reason} (check its disk)")]
    Unavailable { reason: String },
    /// The inventory is in the database of the cluster. The reason names it, with the remedy.
    #[error("the inventory cannot be used: {reason}")]
    Database { reason: String },
    /// The key does not unseal the access data of a storage.
    #[error(
        "the key in `inventory.key` does not open the access data of storage `{id}` \
         (restore the key that sealed it, or move `inventory.db` away and register \
         the storages again)"
    )]
    Sealed { id: Uuid },
}

/// Why the inventory could not be opened. The host then runs without registered storages.
#[derive(Debug, thiserror::Error)]
pub enum InventoryOpenError {
    /// The file is damaged, cut off or empty.
    #[error(
        "inventory `{}` is damaged: {reason} (restore it and `inventory.key` from a backup, or move \
         it away and register the storages again)",
        path.display()
    )]
    Damaged { path: PathBuf, reason: String },
    /// The file does not exist, and the host runs already.
    #[error(
        "inventory `{}` is missing (restore it from a backup, or restart the host to begin without \
         registered storages)",
        path.display()
    )]
    Missing { path: PathBuf },
    /// The inventory has access data, but the key does not exist.
    #[error(
        "key `{}` is missing, and without it the access data of storages cannot be opened \
         (restore it; to do without it, move `inventory.db` away and register the storages again)",
        path.display()
    )]
    KeyMissing { path: PathBuf },
    /// The file of the key has a wrong mode or length.
    #[error("key `{}` cannot be used: {reason}", path.display())]
    KeyUnfit {
        path: PathBuf,
        /// The reason, and the remedy in brackets.
        reason: String,
    },
    /// The key could not be read or created.
    #[error("cannot use key `{}`: {error} (check its owner, its access rights and its disk)", path.display())]
    Key { path: PathBuf, error: io::Error },
    /// The file cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The inventory is in the database of the cluster, which the other host has sealed with another key.
    #[error(
        "key `{}` does not open the access data of storage `{id}` in the database of the cluster (copy the file of \
         `inventory.key_file` from the other host)",
        path.display()
    )]
    OtherKey { path: PathBuf, id: Uuid },
    #[error(transparent)]
    Content(#[from] InventoryError),
}

impl From<DatabaseFailure> for InventoryError {
    fn from(DatabaseFailure { reason, .. }: DatabaseFailure) -> Self {
        Self::Database { reason }
    }
}

/// A failure of the file, or of what is around it.
pub(super) fn unavailable(error: impl fmt::Display) -> InventoryError {
    InventoryError::Unavailable {
        reason: error.to_string(),
    }
}

/// A part of the inventory that is stored as JSON.
pub(super) fn json_text(value: &impl Serialize) -> Result<String, InventoryError> {
    serde_json::to_string(value).map_err(unavailable)
}

/// Why the key was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    #[error(
        "the host does not write its key `{}` (name a file with the new key, and put it there before \
         the host starts again)",
        path.display()
    )]
    KeyRequired { path: PathBuf },
    /// The new key cannot be used.
    #[error(transparent)]
    Key(#[from] InventoryOpenError),
    #[error(transparent)]
    Inventory(#[from] InventoryError),
}

/// Why a storage cannot be moved to a cluster.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error(
        "the inventory of this host is in its state folder (register the storage on the other host, and remove it here)"
    )]
    NoDatabase,
    #[error("it belongs to cluster `{cluster}` already")]
    SameCluster { cluster: String },
    /// Or its state is in a shared folder.
    #[error(
        "no cluster `{cluster}` has its storages in the database (see `delfin-host clusters`; its host must have been active once)"
    )]
    UnknownCluster { cluster: String },
    #[error("an earlier version was last active in cluster `{cluster}` (update its hosts first)")]
    EarlierVersion { cluster: String },
    #[error(
        "cluster `{cluster}` has another key of its inventory (give both clusters the same `inventory.key_file`, with `delfin-host \
         inventory rekey --key-file`)"
    )]
    OtherKey { cluster: String },
    #[error(transparent)]
    Inventory(#[from] InventoryError),
}

impl From<rusqlite::Error> for RekeyError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Inventory(error.into())
    }
}

/// Why the registered storages are unknown, without paths and without the reason of the system:
/// for clients of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InventoryFault {
    /// `inventory.db` is damaged.
    Damaged,
    /// `inventory.db` cannot be read, or is not one of this host.
    Unusable,
    /// `inventory.db` does not exist, or is not the file that the host opened.
    Removed,
    /// `inventory.key` does not exist.
    KeyMissing,
    /// `inventory.key` cannot be read, or is not a key.
    KeyUnusable,
    /// `inventory.key` is another key.
    KeyWrong,
    /// `inventory.key_file` is another key than that of the other host.
    OtherKey,
    /// The database of the cluster cannot be used.
    Database,
}

impl From<&InventoryOpenError> for InventoryFault {
    fn from(error: &InventoryOpenError) -> Self {
        match error {
            InventoryOpenError::Damaged { .. } => Self::Damaged,
            InventoryOpenError::Missing { .. } => Self::Removed,
            InventoryOpenError::KeyMissing { .. } => Self::KeyMissing,
            InventoryOpenError::KeyUnfit { .. } | InventoryOpenError::Key { .. } => {
                Self::KeyUnusable
            }
            InventoryOpenError::Content(InventoryError::Sealed { .. }) => Self::KeyWrong,
            InventoryOpenError::OtherKey { .. } => Self::OtherKey,
            InventoryOpenError::Content(InventoryError::Database { .. }) => Self::Database,
            InventoryOpenError::Content(InventoryError::Unavailable { .. })
            | InventoryOpenError::Database(_) => Self::Unusable,
        }
    }
}

impl fmt::Display for InventoryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => "`inventory.db` is damaged",
            Self::Unusable => "`inventory.db` cannot be used",
            Self::Removed => "`inventory.db` was removed or replaced",
            Self::KeyMissing => "`inventory.key` is missing",
            Self::KeyUnusable => "`inventory.key` cannot be used",
            Self::KeyWrong => "`inventory.key` does not open `inventory.db`",
            Self::OtherKey => "`inventory.key_file` does not open the inventory in the database",
            Self::Database => "the database of the cluster cannot be used",
        })
    }
}
