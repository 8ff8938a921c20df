//! Errors of the inventory.

use std::{io, path::PathBuf};

use uuid::Uuid;

use crate::sqlite::DatabaseError;

/// Why the inventory could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    #[error("the inventory cannot be used: {reason} (check its disk)")]
    Unavailable { reason: String },
    /// The key does not unseal the access data of a storage.
    #[error(
        "the key in `inventory.key` does not open the access data of storage `{id}` \
         (restore the key that sealed it, or move `inventory.db` away and register \
         the storages again)"
    )]
    Sealed { id: Uuid },
}

/// Why the inventory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum InventoryOpenError {
    /// The inventory has access data, but the key does not exist.
    #[error(
        "key `{}` is missing, and without it the access data in `inventory.db` cannot be opened \
         (restore it, or move `inventory.db` away and register the storages again)",
        path.display()
    )]
    KeyMissing { path: PathBuf },
    /// The file of the key has a wrong mode or length.
    #[error("key `{}` cannot be used: {reason}", path.display())]
    KeyUnfit {
        path: PathBuf,
        /// The reason, and the remedy in brackets.
        reason: &'static str,
    },
    /// The key could not be read or created.
    #[error("cannot use key `{}` (check its owner, its mode and its disk)", path.display())]
    Key { path: PathBuf, source: io::Error },
    /// The file cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Content(#[from] InventoryError),
}
