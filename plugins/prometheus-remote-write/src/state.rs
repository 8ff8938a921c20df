//! What the exporter remembers from one batch to the next: rows that the receiver may have,
//! although it has not confirmed them.
//!
//! Prometheus refuses points that are older than the newest of their series, also if it has
//! them already. When a row is sent again, this tells the two cases apart.

use std::collections::HashSet;

/// Rows beyond this number are not remembered.
const MAX_ROWS: usize = 1_000_000;

/// A row: the hash of its series, and the time of its newest point.
pub(crate) type RowKey = (u64, i64);

/// Rows that were sent without a clear response.
#[derive(Debug, Default)]
pub(crate) struct UnconfirmedRows(HashSet<RowKey>);

impl UnconfirmedRows {
    pub(crate) fn contains(&self, row: RowKey) -> bool {
        self.0.contains(&row)
    }

    /// The receiver may have these rows.
    pub(crate) fn add(&mut self, rows: impl Iterator<Item = RowKey>) {
        for row in rows {
            if self.0.len() < MAX_ROWS {
                self.0.insert(row);
            }
        }
    }

    /// It is known whether the receiver has these rows.
    pub(crate) fn remove(&mut self, rows: impl Iterator<Item = RowKey>) {
        if self.0.is_empty() {
            return;
        }
        for row in rows {
            self.0.remove(&row);
        }
    }
}
