//! Why the inventory could not do what it was asked.

use std::{io, path::PathBuf};

use uuid::Uuid;

/// Why storages could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// The file could not be read or written.
    #[error("the inventory cannot be used: {reason} (check its disk)")]
    Unavailable {
        /// What the store said.
        reason: String,
    },
    /// The access data of a storage does not open with this key.
    #[error(
        "the access data of storage `{id}` does not open with the key in `inventory.key` \
         (put back the key that it was sealed with, or move `inventory.db` away and register \
         the storages anew)"
    )]
    Sealed {
        /// Which storage.
        id: Uuid,
    },
}

/// Why the inventory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum InventoryOpenError {
    /// There is sealed access data, and no key.
    #[error(
        "key `{}` is missing, and without it the access data in `inventory.db` cannot be opened \
         (put it back, or move `inventory.db` away and register the storages anew)",
        path.display()
    )]
    KeyMissing {
        /// Where the key should be.
        path: PathBuf,
    },
    /// The key is not one.
    #[error("key `{}` cannot be used: {reason}", path.display())]
    KeyUnfit {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it, and what helps.
        reason: &'static str,
    },
    /// The key could not be read or made.
    #[error("cannot use key `{}` (check its owner, its mode and its disk)", path.display())]
    Key {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is some other program's database.
    #[error(
        "`{}` is not an inventory of delfin-host (move it away, or set another `state_dir`)",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file has a schema that this host does not know.
    #[error(
        "inventory `{}` has schema version {found}, this host needs {wanted} \
         (run the host that wrote it, or set another `state_dir`)",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The version of this host.
        wanted: i64,
    },
    /// The file could not be opened or read.
    #[error("cannot open inventory `{}`: {reason} (check its owner, its mode and its disk)", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the store said.
        reason: String,
    },
    /// What it holds cannot be used.
    #[error(transparent)]
    Content(#[from] InventoryError),
}
