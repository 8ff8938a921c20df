//! Checks a commit against the journal, before anything is written.
//!
//! A commit must advance the cursor, and must give a disposition to every item
//! between the cursor and the new position and in its row spans, once. The counts
//! of an exporter add up only because no other commit is written.

use rusqlite::{OptionalExtension, ffi, params};

use super::super::commit::Commit;
use super::super::cursor::{Position, RowSpan};
use super::super::dead_letters::DeadLetterDisposition;
use super::cursor_update::CursorUpdate;
use super::dead_letters;
use super::transaction::WriteTransaction;

/// Why a commit is not written.
pub(super) enum CommitCheckError {
    /// It contradicts the journal.
    Refused(String),
    /// The journal cannot be read.
    Store(rusqlite::Error),
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

struct RecordShape {
    seq: u64,
    rows: u64,
    items: u64,
    items_before: u64,
}

/// Compares the items that a commit counts with the items that the journal holds.
///
/// The journal holds `items_before(through) - items_before(cursor)` items between
/// both positions. Of these, the items in row spans before `through` were committed
/// earlier, so they do not count again. The items in the new row spans are after
/// `through` and count in addition.
pub(super) fn check(
    tx: &WriteTransaction<'_>,
    exporter: &str,
    cursor: &CursorUpdate,
    commit: &Commit,
) -> Result<CheckedCommit, CommitCheckError> {
    let from = cursor.next;
    let through = commit.through;
    if (through.seq, through.row) < (from.seq, from.row) {
        return refuse(format!("{through} is before the cursor at {from}"));
    }
    let before = match cursor.items_before {
        Some(before) => Some(before),
        None => items_before(tx, from)?,
    };
    let Some(before) = before else {
        return refuse(format!("the journal has lost the cursor's {from}"));
    };
    let Some(after) = items_before(tx, through)? else {
        return refuse(format!("the journal has no {through}"));
    };
    let committed_earlier = if cursor.has_ahead {
        committed_before(tx, exporter, through)?
    } else {
        0
    };
    check_spans(tx, exporter, commit)?;
    let ahead: u64 = commit.ahead.iter().map(|span| span.items).sum();
    let expected = after
        .checked_sub(before + committed_earlier)
        .map(|passed| passed + ahead);
    if expected != Some(commit.items()) {
        check_running_totals(tx, from)?;
        return refuse(format!(
            "from {from} to {through} and in the rows ahead there are {} items without a disposition, the commit counts {}",
            expected.unwrap_or(0),
            commit.items()
        ));
    }
    let (replayed_delivered, replayed_dead_lettered) = check_replayed(tx, exporter, commit)?;
    Ok(CheckedCommit {
        items_before: after,
        replayed_delivered,
        replayed_dead_lettered,
    })
}

/// Items that were appended before a position; `None` if the position does not exist.
fn items_before(tx: &WriteTransaction<'_>, position: Position) -> rusqlite::Result<Option<u64>> {
    let at_start = position.row == 0 && position.items == 0;
    Ok(match shape(tx, position.seq.0)? {
        // After the newest record: every item was appended before.
        None => (at_start && position.seq.0 <= tx.head + 1).then_some(tx.appended_items),
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

/// Fails if the running totals of the records from a position on have a gap. Then
/// the file is damaged, and no commit could ever add up: the writer replaces the
/// file instead of refusing the exporter's commits indefinitely.
fn check_running_totals(tx: &WriteTransaction<'_>, from: Position) -> rusqlite::Result<()> {
    let gaps: u64 = tx
        .connection
        .prepare_cached(
            "SELECT count(*) FROM (
                 SELECT items_before + items AS end, lead(items_before, 1, ?2) OVER (ORDER BY seq) AS next
                 FROM batches WHERE seq >= ?1)
             WHERE end <> next",
        )?
        .query_row(params![from.seq.0, tx.appended_items], |row| row.get(0))?;
    if gaps == 0 {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(
        ffi::Error::new(ffi::SQLITE_CORRUPT),
        Some(format!("the item counts of {gaps} records are wrong")),
    ))
}

/// Items in row spans before a position. The position must not be inside a span:
/// the cursor would cover some of its rows, and the rest would count twice.
fn committed_before(
    tx: &WriteTransaction<'_>,
    exporter: &str,
    through: Position,
) -> Result<u64, CommitCheckError> {
    let (items, furthest): (u64, Option<u64>) = tx
        .connection
        .prepare_cached(
            "SELECT coalesce(sum(items), 0), max(iif(seq = ?2, first_row + rows, 0)) FROM ahead
             WHERE exporter = ?1 AND (seq, first_row) < (?2, ?3)",
        )?
        .query_row(params![exporter, through.seq.0, through.row], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if furthest.is_some_and(|row| row > through.row) {
        return refuse(format!(
            "{through} is inside rows that are committed already"
        ));
    }
    Ok(items)
}

/// Each new row span must exist, be after the new position, and overlap no other one.
fn check_spans(
    tx: &WriteTransaction<'_>,
    exporter: &str,
    commit: &Commit,
) -> Result<(), CommitCheckError> {
    let through = commit.through;
    for (index, span) in commit.ahead.iter().enumerate() {
        let exists = shape(tx, span.seq.0)?.is_some_and(|record| {
            record.seq == span.seq.0 && span.end_row() <= record.rows && span.items <= record.items
        });
        if !exists || span.rows == 0 || (span.seq, span.first_row) < (through.seq, through.row) {
            return refuse(format!("{span} are not ahead of {through}"));
        }
        let mut earlier = commit.ahead[..index].iter();
        if earlier.any(|other| span.overlaps(other)) || overlaps_committed(tx, exporter, span)? {
            return refuse(format!("{span} are committed already"));
        }
    }
    Ok(())
}

/// The items of replayed dead letters that were delivered, and of those that are dead
/// letters again. Each dead letter must be in replay, and occur once.
fn check_replayed(
    tx: &WriteTransaction<'_>,
    exporter: &str,
    commit: &Commit,
) -> Result<(u64, u64), CommitCheckError> {
    let (mut delivered, mut dead_lettered) = (0, 0);
    for (index, replayed) in commit.replayed.iter().enumerate() {
        let mut earlier = commit.replayed[..index].iter();
        let repeated = earlier.any(|other| other.id == replayed.id);
        let items = dead_letters::items_in_replay(tx.connection, exporter, replayed.id)?;
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

fn overlaps_committed(
    tx: &WriteTransaction<'_>,
    exporter: &str,
    span: &RowSpan,
) -> rusqlite::Result<bool> {
    tx.connection
        .prepare_cached(
            "SELECT 1 FROM ahead WHERE exporter = ?1 AND seq = ?2 AND first_row < ?4 AND first_row + rows > ?3",
        )?
        .exists(params![exporter, span.seq.0, span.first_row, span.end_row()])
}

/// The first record at or after a sequence number.
fn shape(tx: &WriteTransaction<'_>, seq: u64) -> rusqlite::Result<Option<RecordShape>> {
    // SQLite cannot store the largest sequence numbers. Such a number must fail this
    // commit only, and not the transaction of the whole group.
    if seq > tx.head {
        return Ok(None);
    }
    tx.connection
        .prepare_cached("SELECT seq, rows, items, items_before FROM batches WHERE seq >= ?1 ORDER BY seq LIMIT 1")?
        .query_row([seq], |row| {
            Ok(RecordShape {
                seq: row.get(0)?,
                rows: row.get(1)?,
                items: row.get(2)?,
                items_before: row.get(3)?,
            })
        })
        .optional()
}

fn refuse<T>(reason: String) -> Result<T, CommitCheckError> {
    Err(CommitCheckError::Refused(reason))
}

impl From<rusqlite::Error> for CommitCheckError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error)
    }
}
