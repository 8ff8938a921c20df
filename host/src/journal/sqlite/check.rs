//! Whether a commit fits the journal: asked before anything is written.
//!
//! It must go forward, and say of each item that it passes, or settles ahead of
//! the cursor, what became of it, unless that was said before.

use rusqlite::{OptionalExtension, ffi, params};

use super::super::cursor::{Commit, Position, RowSpan};
use super::super::dead_letters::DeadLetterDisposition;
use super::letters;
use super::stand::Stand;
use super::work::Work;

/// Why a commit cannot be written.
pub(super) enum Unfit {
    /// It contradicts the journal.
    Refused(String),
    /// The journal could not be asked.
    Store(rusqlite::Error),
}

/// What the journal knows of a commit that fits.
pub(super) struct Fits {
    /// How many items were appended before the position that the cursor moves to.
    pub(super) items_before: u64,
    /// Items of replayed letters that the receiver has now.
    pub(super) replayed_delivered: u64,
    /// Items of replayed letters that were given up again.
    pub(super) replayed_dead: u64,
}

/// A record's shape.
struct Shape {
    seq: u64,
    rows: u64,
    items: u64,
    items_before: u64,
}

/// Whether a commit may be written.
pub(super) fn check(
    work: &Work<'_>,
    exporter: &str,
    stand: &Stand,
    commit: &Commit,
) -> Result<Fits, Unfit> {
    let from = stand.next;
    let through = commit.through;
    if (through.seq, through.row) < (from.seq, from.row) {
        return refuse(format!("{through} is before the cursor at {from}"));
    }
    let before = match stand.items_before {
        Some(before) => Some(before),
        None => items_before(work, from)?,
    };
    let Some(before) = before else {
        return refuse(format!("the journal has lost the cursor's {from}"));
    };
    let Some(after) = items_before(work, through)? else {
        return refuse(format!("the journal has no {through}"));
    };
    let known = if stand.has_ahead {
        settled_before(work, exporter, through)?
    } else {
        0
    };
    check_ahead(work, exporter, commit)?;
    let ahead: u64 = commit.ahead.iter().map(|span| span.items).sum();
    let expected = after
        .checked_sub(before + known)
        .map(|passed| passed + ahead);
    if expected != Some(commit.items()) {
        check_counts(work, from)?;
        return refuse(format!(
            "from {from} to {through} and ahead of it there are {} unsettled items, it speaks of {}",
            expected.unwrap_or(0),
            commit.items()
        ));
    }
    let (replayed_delivered, replayed_dead) = check_replayed(work, exporter, commit)?;
    Ok(Fits {
        items_before: after,
        replayed_delivered,
        replayed_dead,
    })
}

/// How many items were appended before a position; nothing if there is no such position.
fn items_before(work: &Work<'_>, position: Position) -> rusqlite::Result<Option<u64>> {
    let at_start = position.row == 0 && position.items == 0;
    Ok(match shape(work, position.seq.0)? {
        None => (at_start && position.seq.0 <= work.head + 1).then_some(work.items),
        Some(record) if at_start => Some(record.items_before),
        Some(record) => {
            let inside = record.seq == position.seq.0
                && (1..record.rows).contains(&position.row)
                && position.items <= record.items;
            inside.then_some(record.items_before + position.items)
        }
    })
}

/// Whether the records from a position on follow each other without a gap in their
/// items. Where they do not, no commit would ever fit: the file is damaged.
fn check_counts(work: &Work<'_>, from: Position) -> rusqlite::Result<()> {
    let gaps: u64 = work
        .tx
        .prepare_cached(
            "SELECT count(*) FROM (
                 SELECT items_before + items AS end, lead(items_before, 1, ?2) OVER (ORDER BY seq) AS next
                 FROM batches WHERE seq >= ?1)
             WHERE end <> next",
        )?
        .query_row(params![from.seq.0, work.items], |row| row.get(0))?;
    if gaps == 0 {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(
        ffi::Error::new(ffi::SQLITE_CORRUPT),
        Some(format!(
            "{gaps} records do not hold as many items as they say"
        )),
    ))
}

/// How many items before a position were settled ahead of the cursor.
fn settled_before(work: &Work<'_>, exporter: &str, through: Position) -> Result<u64, Unfit> {
    let (items, furthest): (u64, Option<u64>) = work
        .tx
        .prepare_cached(
            "SELECT coalesce(sum(items), 0), max(iif(seq = ?2, first_row + rows, 0)) FROM ahead
             WHERE exporter = ?1 AND (seq, first_row) < (?2, ?3)",
        )?
        .query_row(params![exporter, through.seq.0, through.row], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if furthest.is_some_and(|row| row > through.row) {
        return refuse(format!("{through} is inside rows that are settled already"));
    }
    Ok(items)
}

/// Whether each span is there, behind the new position, and not settled yet.
fn check_ahead(work: &Work<'_>, exporter: &str, commit: &Commit) -> Result<(), Unfit> {
    let through = commit.through;
    for (index, span) in commit.ahead.iter().enumerate() {
        let there = shape(work, span.seq.0)?.is_some_and(|record| {
            record.seq == span.seq.0 && span.end_row() <= record.rows && span.items <= record.items
        });
        if !there || span.rows == 0 || (span.seq, span.first_row) < (through.seq, through.row) {
            return refuse(format!("{span} are not ahead of {through}"));
        }
        let twice = commit.ahead[..index]
            .iter()
            .any(|other| span.overlaps(other));
        if twice || is_settled(work, exporter, span)? {
            return refuse(format!("{span} are settled already"));
        }
    }
    Ok(())
}

/// How many items of letters were delivered and given up again, if each letter
/// is being replayed and spoken of once.
fn check_replayed(work: &Work<'_>, exporter: &str, commit: &Commit) -> Result<(u64, u64), Unfit> {
    let (mut delivered, mut dead) = (0, 0);
    for (index, replayed) in commit.replayed.iter().enumerate() {
        let twice = commit.replayed[..index]
            .iter()
            .any(|other| other.id == replayed.id);
        let items = letters::items_replayed(work.tx, exporter, replayed.id)?;
        let Some(items) = items.filter(|_| !twice) else {
            return refuse(format!("dead letter {} is not being replayed", replayed.id));
        };
        match replayed.disposition {
            DeadLetterDisposition::Delivered => delivered += items,
            DeadLetterDisposition::DeadLettered { .. } => dead += items,
        }
    }
    Ok((delivered, dead))
}

fn is_settled(work: &Work<'_>, exporter: &str, span: &RowSpan) -> rusqlite::Result<bool> {
    work.tx
        .prepare_cached(
            "SELECT 1 FROM ahead WHERE exporter = ?1 AND seq = ?2 AND first_row < ?4 AND first_row + rows > ?3",
        )?
        .exists(params![exporter, span.seq.0, span.first_row, span.end_row()])
}

/// The first record at or after a number.
fn shape(work: &Work<'_>, seq: u64) -> rusqlite::Result<Option<Shape>> {
    // A number that the store cannot even hold must not fail the whole commit.
    if seq > work.head {
        return Ok(None);
    }
    work.tx
        .prepare_cached("SELECT seq, rows, items, items_before FROM batches WHERE seq >= ?1 ORDER BY seq LIMIT 1")?
        .query_row([seq], |row| {
            Ok(Shape { seq: row.get(0)?, rows: row.get(1)?, items: row.get(2)?, items_before: row.get(3)? })
        })
        .optional()
}

fn refuse<T>(reason: String) -> Result<T, Unfit> {
    Err(Unfit::Refused(reason))
}

impl From<rusqlite::Error> for Unfit {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error)
    }
}
