//! Why the database was not read or changed.

use delfin_plugin_api::postgres::{PostgresError, tokio_postgres};
use tokio::time::error::Elapsed;

/// Why something was not read or changed.
#[derive(Debug)]
pub enum StoreError {
    Database(PostgresError),
    /// The database did not answer in time.
    TooSlow,
    /// A member with a later epoch is the owner.
    Superseded,
    /// The write guard has closed.
    Late,
    /// A newer host has changed the tables.
    NewerTables {
        found: i32,
        wanted: i32,
    },
    /// Any other reason, such as a value that is damaged.
    Content(String),
}

/// An error as others see it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct DatabaseFailure {
    /// With the name of the database and the remedy.
    pub reason: String,
    /// The same call may succeed later.
    pub may_pass: bool,
}

/// Why a former owner changes nothing.
pub(super) const SUPERSEDED: &str = "a member with a later epoch is the owner (if the table `delfin_leases` was restored, set `epoch` in it \
                          above those in `delfin_states` and `delfin_journals`)";

impl From<PostgresError> for StoreError {
    fn from(error: PostgresError) -> Self {
        Self::Database(error)
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<Elapsed> for StoreError {
    fn from(_: Elapsed) -> Self {
        Self::TooSlow
    }
}
