//! The database of a cluster: connections, its tables, and what its errors mean.
//!
//! It has the lease and the members, and of hosts whose journals are on Kafka everything that they share and that is not a record
//! of a journal. [`FencedDatabase`] is the connection of the member that has the lease.
//!
//! Knows nothing of what the tables mean.

mod database;
mod error;
mod fenced;
mod schema;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use database::{CALL_TIMEOUT, ClusterDatabase};
pub use error::{DatabaseFailure, StoreError};
pub use fenced::{FencedDatabase, SqlValue};

/// Text without the one character that the database does not take.
pub(crate) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
