//! Batches as rows of tables, in the binary format of `COPY`.
//!
//! Promises: a point allocates nothing; a text that PostgreSQL cannot store is changed, never
//! left out; a row whose time PostgreSQL cannot store is refused by itself.
//!
//! Knows nothing of connections.

mod alert;
mod binary;
mod performance;

use std::collections::HashSet;

use delfin_plugin_api::{Batch, BatchPart, RowFailures, Uuid};

pub use self::binary::CopyBuffer;

/// Why a row is refused.
const TIME_RANGE: &str = "a time is outside the years -4712 to 294276, which PostgreSQL can store";

/// A batch that becomes rows of tables.
pub trait CopyBatch: Batch {
    /// How the rows get into their tables.
    const STATEMENTS: CopyStatements;

    /// Appends the rows of the batch, except those that `refused` gets.
    fn encode(&self, parts: &[BatchPart<'_>], tables: &mut CopyTables, refused: &mut RowFailures);
}

/// SQL for a kind of batches; `{schema}` means the configured schema.
///
/// The rows are copied to tables that live as long as the connection, and go from there to
/// their own: `COPY` cannot skip rows that exist.
#[derive(Debug, Clone, Copy)]
pub struct CopyStatements {
    /// Makes the tables of the connection.
    pub prepare: &'static str,
    /// For [`CopyTables::main`]: copies, and moves.
    pub main: [&'static str; 2],
    /// For [`CopyTables::series`].
    pub series: Option<[&'static str; 2]>,
}

/// Rows in the binary format of `COPY`.
#[derive(Debug, Default)]
pub struct CopyTables {
    /// Points or alerts.
    pub main: CopyBuffer,
    /// Series that the database may not have yet.
    pub series: CopyBuffer,
    /// The ids of `series`.
    new: HashSet<Uuid>,
    /// Series that the database has, as far as this connection knows.
    known: HashSet<Uuid>,
}

impl CopyTables {
    /// Removes all rows.
    pub fn clear(&mut self) {
        self.main.clear();
        self.series.clear();
        self.new.clear();
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.main.is_empty() && self.series.is_empty()
    }

    /// Notes that the database has the series.
    pub(crate) fn series_written(&mut self) {
        /// Above it, all series are written again, so that memory stays bounded.
        const MAX_KNOWN: usize = 1_000_000;
        if self.known.len() > MAX_KNOWN {
            self.known.clear();
        }
        self.known.extend(self.new.drain());
    }

    /// Forgets what the database has: it may be another one.
    pub(crate) fn forget_series(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests;
