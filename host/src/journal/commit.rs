//! The disposition of rows, and the position to which the cursor advances with it.

use super::counts::DroppedItems;
use super::cursor::{Position, RowSpan};
use super::dead_letters::{DeadLetter, DeadLetterCommit};

/// The disposition of every item between a cursor and a later position, except of
/// items that were committed ahead before, and of the items in the rows `ahead`.
///
/// The journal checks that the counts add up, and writes all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The new position of the cursor.
    pub through: Position,
    /// Items that the receiver has.
    pub delivered: u64,
    /// Items that the filter of the exporter excludes.
    pub filtered: u64,
    pub dropped: Vec<DroppedItems>,
    /// Rows that the receiver never takes.
    pub dead_letters: Vec<DeadLetter>,
    /// Rows after `through` that this commit covers too, because earlier rows are
    /// still retried. Their items are in the counts above.
    pub ahead: Vec<RowSpan>,
    /// The disposition of dead letters that were replayed. Their items are in none
    /// of the counts above.
    pub replayed: Vec<DeadLetterCommit>,
}

impl Commit {
    /// Every item up to a position was delivered.
    #[must_use]
    pub fn delivered(through: Position, items: u64) -> Self {
        Self {
            through,
            delivered: items,
            ..Self::default()
        }
    }

    /// Items of records that this commit gives a disposition.
    #[must_use]
    pub fn items(&self) -> u64 {
        [self.filtered, self.dropped(), self.dead_lettered()]
            .into_iter()
            .fold(self.delivered, u64::saturating_add)
    }

    /// Items dropped, by any limit.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.iter().map(|dropped| dropped.items).sum()
    }

    /// Items in the new dead letters.
    #[must_use]
    pub fn dead_lettered(&self) -> u64 {
        self.dead_letters.iter().map(|dead| dead.header.items).sum()
    }

    /// Appends the commit that follows this one, so that one commit does both.
    pub(super) fn merge(&mut self, later: Self) {
        self.through = later.through;
        self.delivered += later.delivered;
        self.filtered += later.filtered;
        self.dropped.extend(later.dropped);
        self.dead_letters.extend(later.dead_letters);
        self.ahead.extend(later.ahead);
        self.replayed.extend(later.replayed);
        // The later commit may advance the cursor past rows that this one committed
        // ahead of it. The items of those rows are in the counts already. Without
        // their span they are ordinary rows before `through`, so the sum stays right.
        let through = (self.through.seq, self.through.row);
        self.ahead
            .retain(|span| (span.seq, span.first_row) >= through);
    }

    /// Whether this commit may wait for others, to share their transaction. If the
    /// host crashes meanwhile, its rows are delivered and committed again. Dropped
    /// rows and dead letters do not wait: they exist nowhere else.
    pub(super) fn can_wait(&self) -> bool {
        self.dropped.is_empty() && self.dead_letters.is_empty() && self.replayed.is_empty()
    }
}
