//! The position of an exporter in a journal.

use std::fmt;
use std::time::Duration;

use crate::batch::Seq;

/// Where a new cursor starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// At the next batch that is accepted.
    Now,
    /// At the oldest batch that the journal holds.
    Earliest,
    /// At the oldest batch that was accepted within this time; as `Now` if the
    /// journal holds no such batch.
    Ago(Duration),
}

/// A position between two rows of a journal. Every row before the position of a
/// cursor has its disposition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The record that follows. It may not be appended yet.
    pub seq: Seq,
    /// Rows of that record before the position.
    pub row: u64,
    /// Items in those rows.
    pub items: u64,
}

/// The cursor of an exporter, as the journal holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub exporter: String,
    pub next: Position,
    /// Milliseconds since the Unix epoch, as every field that ends in `_ms`.
    pub created_ms: i64,
    pub last_success_ms: Option<i64>,
    pub last_error: Option<String>,
    pub last_error_ms: Option<i64>,
    /// Committed rows after `next`, in order.
    pub ahead: Vec<RowSpan>,
    /// Records before this one are a replay.
    pub replay_end: Option<Seq>,
    /// Since when no configured exporter has this name.
    pub unused_since_ms: Option<i64>,
}

/// Consecutive rows of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowSpan {
    pub seq: Seq,
    pub first_row: u64,
    pub rows: u64,
    pub items: u64,
}

/// Logs that the cursor of an exporter that is no longer configured was removed, with its pending items.
pub(super) fn log_removed_orphan(exporter: &str, pending: i64) {
    if pending == 0 {
        log::info!(exporter; "removed the cursor of an exporter that is no longer configured");
    } else {
        log::error!(exporter, items = pending; "lost the pending items of an exporter that is no longer configured: its cursor was removed");
    }
}

impl Position {
    /// Before the first row of a record.
    #[must_use]
    pub const fn at(seq: Seq) -> Self {
        Self {
            seq,
            row: 0,
            items: 0,
        }
    }

    /// After the last row of a record.
    #[must_use]
    pub const fn after(seq: Seq) -> Self {
        Self::at(seq.next())
    }
}

impl RowSpan {
    /// The row after the last one.
    #[must_use]
    pub const fn end_row(&self) -> u64 {
        self.first_row.saturating_add(self.rows)
    }

    /// Whether both spans have a row in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.seq == other.seq
            && self.first_row < other.end_row()
            && other.first_row < self.end_row()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} row {}", self.seq, self.row)
    }
}

impl fmt::Display for RowSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "record {} rows {} to {}",
            self.seq,
            self.first_row,
            self.end_row()
        )
    }
}
