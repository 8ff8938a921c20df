//! An exporter's place in a journal, and what has become of the items before it.
//!
//! A cursor moves only by a [`Commit`], which says for each item that it
//! passes what became of it: delivered, dead-lettered, dropped by a limit or
//! filtered. Each item gets one of these for each exporter, once.

use std::fmt;
use std::time::Duration;

use super::dead_letters::DeadLetterCommit;
use crate::batch::{Header, Seq};

/// Where a new cursor starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// With the first batch that is accepted from now on.
    Now,
    /// With the oldest batch that the journal holds.
    Earliest,
    /// With the oldest batch that the journal holds and that was accepted within
    /// this time; as `Now` if there is none.
    Ago(Duration),
}

/// A place between two rows of a journal: every row before it is settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The record that comes next, whether it is there already or not.
    pub seq: Seq,
    /// How many of its rows are settled.
    pub row: u64,
    /// How many items those rows hold.
    pub items: u64,
}

/// An exporter's place as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The exporter's name.
    pub exporter: String,
    /// What it has not settled yet starts here.
    pub next: Position,
    /// When the cursor was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When something was last delivered.
    pub last_success_ms: Option<i64>,
    /// What last went wrong.
    pub last_error: Option<String>,
    /// When it went wrong.
    pub last_error_ms: Option<i64>,
    /// Rows behind `next` that are settled already, in their order.
    pub ahead: Vec<RowSpan>,
    /// Records before this one are delivered once more, with origin `replay`.
    pub replay_end: Option<Seq>,
    /// Since when no configured exporter has this name, in milliseconds since 1970.
    pub unused_since_ms: Option<i64>,
}

/// What waits for an exporter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Items, as [`ItemCounts::pending`] has them.
    pub items: u64,
    /// Bytes of the records from the cursor on.
    pub bytes: u64,
    /// When the oldest of those records was accepted, in milliseconds since 1970.
    pub oldest_accepted_ms: Option<i64>,
}

/// Rows of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowSpan {
    /// The record.
    pub seq: Seq,
    /// The first of the rows.
    pub first_row: u64,
    /// How many rows.
    pub rows: u64,
    /// How many items those rows hold.
    pub items: u64,
}

/// What became of the items between a cursor and a later position, and of
/// those in rows behind that position that did not wait for the ones before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Where the cursor goes.
    pub through: Position,
    /// How many items the receiver has.
    pub delivered: u64,
    /// How many items the exporter's filter keeps from it.
    pub filtered: u64,
    /// How many items were dropped, by the limit that dropped them.
    pub dropped: Vec<DroppedItems>,
    /// The items that the receiver will never take.
    pub dead_letters: Vec<DeadLetter>,
    /// Rows behind `through` that are settled by this too.
    pub ahead: Vec<RowSpan>,
    /// Dead letters that were being replayed, and what became of them. Their
    /// items are in none of the counts above.
    pub replayed: Vec<DeadLetterCommit>,
}

/// Items that a limit cost an exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedItems {
    /// The limit, by the name that it has in the configuration.
    pub limit: String,
    /// How many items.
    pub items: u64,
}

/// Rows of one batch that a receiver will never take, kept for a person to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The version of the plugin that gave up on them.
    pub plugin_version: String,
    /// The header of the batch for these rows: see [`Header::for_part`].
    pub header: Header,
    /// The record that holds the batch.
    pub seq: Seq,
    /// The first of the rows, counted in that batch.
    pub first_row: u64,
    pub rows: u64,
    /// The outcome code that they were given up with.
    pub code: u32,
    /// Why, in words.
    pub reason: String,
    /// How often they were tried.
    pub attempts: u64,
    /// When they were first tried, in milliseconds since 1970.
    pub first_ms: i64,
    /// When they were last tried.
    pub last_ms: i64,
    /// These rows alone, encoded.
    pub payload: Vec<u8>,
}

/// An exporter's items, each under the one thing that became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemCounts {
    /// All items from the cursor's start on, and those asked for once more.
    pub accepted: u64,
    /// Of these, the items that were asked for once more.
    pub replayed: u64,
    /// Items that the receiver has.
    pub delivered: u64,
    /// Items that were given up.
    pub dead_lettered: u64,
    /// Items that a limit cost, by limit.
    pub dropped: Vec<DroppedItems>,
    /// Items that the exporter's filter kept from it.
    pub filtered: u64,
    /// Items that wait, counted in the journal's records and in the letters being
    /// replayed, and not from the rest.
    pub pending: i64,
}

impl Position {
    /// At the first row of a record.
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

    /// Whether both have a row in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.seq == other.seq
            && self.first_row < other.end_row()
            && other.first_row < self.end_row()
    }
}

impl Commit {
    /// Everything up to a position was delivered.
    #[must_use]
    pub fn delivered(through: Position, items: u64) -> Self {
        Self {
            through,
            delivered: items,
            ..Self::default()
        }
    }

    /// How many items of records it says something about.
    #[must_use]
    pub fn items(&self) -> u64 {
        [self.filtered, self.dropped(), self.dead_lettered()]
            .into_iter()
            .fold(self.delivered, u64::saturating_add)
    }

    /// How many items were dropped, by whichever limit.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.iter().map(|dropped| dropped.items).sum()
    }

    /// How many items the dead letters hold.
    #[must_use]
    pub fn dead_lettered(&self) -> u64 {
        self.dead_letters
            .iter()
            .map(|letter| letter.header.items)
            .sum()
    }

    /// Whether it says nothing that would be missed if it came a little later:
    /// after a crash, a delivery is made again and then settled again.
    pub(super) fn can_wait(&self) -> bool {
        self.dropped.is_empty() && self.dead_letters.is_empty() && self.replayed.is_empty()
    }
}

impl ItemCounts {
    /// How many items were dropped, by whichever limit.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.iter().map(|dropped| dropped.items).sum()
    }

    /// Accepted items that nothing has become of and that do not wait either.
    /// Anything but 0 is a bug, or a journal that was damaged.
    #[must_use]
    pub fn unaccounted(&self) -> i64 {
        let settled = self.delivered + self.dead_lettered + self.dropped() + self.filtered;
        self.accepted.cast_signed() - settled.cast_signed() - self.pending
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
