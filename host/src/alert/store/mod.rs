//! Stores the table, with the position in the journal that the table corresponds to.
//!
//! The trait [`AlertStore`] hides the database, so that another one can replace it.

#[cfg(test)]
mod conformance;
mod sqlite;

use super::{table::TableChanges, tracked::TrackedAlert};
use crate::{batch::Seq, sqlite::DatabaseError};

pub(crate) use sqlite::ACTIVE_ALERTS;
pub(super) use sqlite::{SqliteAlertStore, next_record};

/// Why a store cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum AlertStoreError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Stores one table. Calls block on the disk. What was saved is durable when the call returns, and
/// opening the store gives it as a [`StoredTable`].
pub(super) trait AlertStore: Send {
    /// Writes changes, and the position after them: all of it, or nothing.
    ///
    /// After an error the next call opens the store again, which may be a new, empty one. The
    /// caller has to pass every alert then.
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
