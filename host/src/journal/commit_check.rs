//! Checks a commit against the journal, before anything is written.
//!
//! A commit must advance the cursor, and must give a disposition to every item
//! between the cursor and the new position and in its row spans, once. The counts
//! of an exporter add up only because no other commit is written.
//!
//! Knows nothing of where a journal keeps its records and cursors: see [`CommitLookup`].

use super::commit::Commit;
use super::cursor::{Position, RowSpan};
use super::dead_letters::{DeadLetterDisposition, DeadLetterId};

/// What the check asks a journal for.
pub(super) trait CommitLookup {
    /// Why the journal cannot be read.
    type Error;

    /// The sequence number of the newest record.
    fn head(&self) -> u64;

    /// Items that were ever appended.
    fn appended_items(&self) -> u64;

    /// The first record at or after a sequence number, which is at most the head.
    fn record_from(&self, seq: u64) -> Result<Option<RecordShape>, Self::Error>;

    /// What an exporter has committed ahead of its cursor and before a position.
    fn committed_before(
        &self,
        exporter: &str,
        position: Position,
    ) -> Result<CommittedSpans, Self::Error>;

    /// Whether rows of a span are committed already, ahead of the cursor.
    fn overlaps_committed(&self, exporter: &str, span: &RowSpan) -> Result<bool, Self::Error>;

    /// The items of an exporter's dead letter; `None` unless it is in replay.
    fn items_in_replay(&self, exporter: &str, id: DeadLetterId)
    -> Result<Option<u64>, Self::Error>;

    /// Fails if the counts of the records from a position on are damaged, so that no commit could
    /// ever add up.
    fn verify_counts(&self, from: Position) -> Result<(), Self::Error>;
}

/// A record, as the check needs it.
pub(super) struct RecordShape {
    pub(super) seq: u64,
    pub(super) rows: u64,
    pub(super) items: u64,
    /// Items of all records before this one.
    pub(super) items_before: u64,
}

/// Row spans before a position.
#[derive(Default)]
pub(super) struct CommittedSpans {
    pub(super) items: u64,
    /// The end of the last span in the record of the position; 0 without one.
    pub(super) end_row: u64,
}

/// The cursor that a commit advances.
pub(super) struct CommittingCursor {
    pub(super) next: Position,
    /// Items that were appended before `next`, if they are known.
    pub(super) items_before: Option<u64>,
    /// Whether rows after `next` may be committed already.
    pub(super) has_ahead: bool,
}

/// Why a commit is not written.
pub(super) enum CommitCheckError<E> {
    /// It contradicts the journal.
    Refused(String),
    /// The journal cannot be read.
    Store(E),
}

/// What the check has read of the journal.
pub(super) struct CheckedCommit {
    /// Items that were appended before the new position.
    pub(super) items_before: u64,
    /// Items of replayed dead letters that were delivered.
    pub(super) replayed_delivered: u64,
    /// Items of replayed dead letters that are dead letters again.
    pub(super) replayed_dead_lettered: u64,
}

/// Compares the items that a commit counts with the items that the journal holds.
///
/// The journal holds `items_before(through) - items_before(cursor)` items between
/// both positions. Of these, the items in row spans before `through` were committed
/// earlier, so they do not count again. The items in the new row spans are after
/// `through` and count in addition.
pub(super) fn check<L: CommitLookup>(
    journal: &L,
    exporter: &str,
    cursor: &CommittingCursor,
    commit: &Commit,
) -> Result<CheckedCommit, CommitCheckError<L::Error>> {
    let from = cursor.next;
    let through = commit.through;
    if (through.seq, through.row) < (from.seq, from.row) {
        return refuse(format!("{through} is before the cursor at {from}"));
    }
    let before = match cursor.items_before {
        Some(before) => Some(before),
        None => items_before(journal, from)?,
    };
    let Some(before) = before else {
        return refuse(format!("the journal has lost the cursor's {from}"));
    };
    let Some(after) = items_before(journal, through)? else {
        return refuse(format!("the journal has no {through}"));
    };
    let committed_earlier = if cursor.has_ahead {
        committed_before(journal, exporter, through)?
    } else {
        0
    };
    check_spans(journal, exporter, commit)?;
    let ahead: u64 = commit.ahead.iter().map(|span| span.items).sum();
    let expected = after
        .checked_sub(before + committed_earlier)
        .map(|passed| passed + ahead);
    if expected != Some(commit.items()) {
        journal.verify_counts(from)?;
        return refuse(format!(
            "from {from} to {through} and in the rows ahead there are {} items without a disposition, the commit counts {}",
            expected.unwrap_or(0),
            commit.items()
        ));
    }
    let (replayed_delivered, replayed_dead_lettered) = check_replayed(journal, exporter, commit)?;
    Ok(CheckedCommit {
        items_before: after,
        replayed_delivered,
        replayed_dead_lettered,
    })
}

/// Items that were appended before a position; `None` if the position does not exist.
fn items_before<L: CommitLookup>(journal: &L, position: Position) -> Result<Option<u64>, L::Error> {
    let at_start = position.row == 0 && position.items == 0;
    Ok(match shape(journal, position.seq.0)? {
        // After the newest record: every item was appended before.
        None => {
            (at_start && position.seq.0 <= journal.head() + 1).then_some(journal.appended_items())
        }
        // Before a record. If no record has that number, this is the next one, and no
        // item lies between the two.
        Some(record) if at_start => Some(record.items_before),
        Some(record) => {
            let inside = record.seq == position.seq.0
                && (1..record.rows).contains(&position.row)
                && position.items <= record.items;
            inside.then_some(record.items_before + position.items)
        }
    })
}

/// Items in row spans before a position. The position must not be inside a span:
/// the cursor would cover some of its rows, and the rest would count twice.
fn committed_before<L: CommitLookup>(
    journal: &L,
    exporter: &str,
    through: Position,
) -> Result<u64, CommitCheckError<L::Error>> {
    let committed = journal.committed_before(exporter, through)?;
    if committed.end_row > through.row {
        return refuse(format!(
            "{through} is inside rows that are committed already"
        ));
    }
    Ok(committed.items)
}

/// Each new row span must exist, be after the new position, and overlap no other one.
fn check_spans<L: CommitLookup>(
    journal: &L,
    exporter: &str,
    commit: &Commit,
) -> Result<(), CommitCheckError<L::Error>> {
    let through = commit.through;
    for (index, span) in commit.ahead.iter().enumerate() {
        let exists = shape(journal, span.seq.0)?.is_some_and(|record| {
            record.seq == span.seq.0 && span.end_row() <= record.rows && span.items <= record.items
        });
        if !exists || span.rows == 0 || (span.seq, span.first_row) < (through.seq, through.row) {
            return refuse(format!("{span} are not ahead of {through}"));
        }
        let mut earlier = commit.ahead[..index].iter();
        if earlier.any(|other| span.overlaps(other))
            || journal.overlaps_committed(exporter, span)?
        {
            return refuse(format!("{span} are committed already"));
        }
    }
    Ok(())
}

/// The items of replayed dead letters that were delivered, and of those that are dead
/// letters again. Each dead letter must be in replay, and occur once.
fn check_replayed<L: CommitLookup>(
    journal: &L,
    exporter: &str,
    commit: &Commit,
) -> Result<(u64, u64), CommitCheckError<L::Error>> {
    let (mut delivered, mut dead_lettered) = (0, 0);
    for (index, replayed) in commit.replayed.iter().enumerate() {
        let mut earlier = commit.replayed[..index].iter();
        let repeated = earlier.any(|other| other.id == replayed.id);
        let items = journal.items_in_replay(exporter, replayed.id)?;
        let Some(items) = items.filter(|_| !repeated) else {
            return refuse(format!("dead letter {} is not being replayed", replayed.id));
        };
        match replayed.disposition {
            DeadLetterDisposition::Delivered => delivered += items,
            DeadLetterDisposition::DeadLettered { .. } => dead_lettered += items,
        }
    }
    Ok((delivered, dead_lettered))
}

/// The first record at or after a sequence number. A number after the head, however large, fails its
/// own commit only, and not the transaction of a whole group.
fn shape<L: CommitLookup>(journal: &L, seq: u64) -> Result<Option<RecordShape>, L::Error> {
    if seq > journal.head() {
        return Ok(None);
    }
    journal.record_from(seq)
}

fn refuse<T, E>(reason: String) -> Result<T, CommitCheckError<E>> {
    Err(CommitCheckError::Refused(reason))
}

impl<E> From<E> for CommitCheckError<E> {
    fn from(error: E) -> Self {
        Self::Store(error)
    }
}
