//! Stores the table, with the position in the journal that the table corresponds to.
//!
//! The trait [`AlertStore`] hides the database, so that another one can replace it.

#[cfg(test)]
mod conformance;
mod postgres;
mod sqlite;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use super::{table::TableChanges, tracked::TrackedAlert};
use crate::{
    batch::Seq,
    postgres::{DatabaseFailure, FencedDatabase},
    sqlite::DatabaseError,
};

pub(crate) use sqlite::ACTIVE_ALERTS;
pub(super) use sqlite::next_record;

use self::{postgres::PostgresAlertStore, sqlite::SqliteAlertStore};

/// A store for all threads.
pub(super) type SharedAlertStore = Arc<Mutex<dyn AlertStore>>;

/// Why a store cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum AlertStoreError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The table is in the database of the cluster. The reason names it, with the remedy.
    #[error("the table of active alerts cannot be used: {reason}")]
    Cluster { reason: String },
}

impl AlertStoreError {
    /// Whether the store may be a new, empty one at the next call.
    pub(super) const fn may_lose_table(&self) -> bool {
        match self {
            Self::Database(_) => true,
            Self::Cluster { .. } => false,
        }
    }
}

impl From<DatabaseFailure> for AlertStoreError {
    fn from(DatabaseFailure { reason, .. }: DatabaseFailure) -> Self {
        Self::Cluster { reason }
    }
}

/// Stores one table. Calls block on the disk or on the database. What was saved is durable when the call returns, and
/// opening the store gives it as a [`StoredTable`].
pub(super) trait AlertStore: Send {
    /// Writes changes, and the position after them: all of it, or nothing.
    ///
    /// After an error, the caller passes the same changes again, or every alert if the store
    /// [may have lost them](AlertStoreError::may_lose_table).
    fn save(&mut self, next: Seq, changes: &TableChanges) -> Result<(), AlertStoreError>;
}

/// The content of a store.
#[derive(Debug, Default)]
pub(super) struct StoredTable {
    /// The first record that is not in the table. `None` in a new store.
    pub(super) next: Option<Seq>,
    /// In any order.
    pub(super) alerts: Vec<TrackedAlert>,
}

/// Opens the store in the database of a cluster, or without one in a folder.
pub(super) fn open(
    state_dir: &Path,
    database: Option<Arc<FencedDatabase>>,
) -> Result<(SharedAlertStore, StoredTable), AlertStoreError> {
    Ok(match database {
        Some(database) => {
            let (store, stored) = PostgresAlertStore::open(database)?;
            (Arc::new(Mutex::new(store)), stored)
        }
        None => {
            let (store, stored) = SqliteAlertStore::open(state_dir)?;
            (Arc::new(Mutex::new(store)), stored)
        }
    })
}
