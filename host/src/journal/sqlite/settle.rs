//! Moving a cursor by a commit.
//!
//! A commit that does not fit the journal writes nothing.

use rusqlite::{Connection, params};

use super::super::cursor::{Commit, DroppedItems, Position};
use super::super::error::CursorError;
use super::check::{Unfit, check};
use super::cursors;
use super::letters;
use super::work::Work;
use crate::batch::Seq;

/// Moves a cursor, with the counts and dead letters that belong to it.
pub(super) fn settle(
    work: &mut Work<'_>,
    exporter: &str,
    commit: &Commit,
) -> rusqlite::Result<Result<(), CursorError>> {
    let Some(stand) = work.stands.get(work.tx, exporter)? else {
        return Ok(Err(CursorError::Missing {
            exporter: exporter.to_owned(),
        }));
    };
    let fits = match check(work, exporter, &stand, commit) {
        Ok(fits) => fits,
        Err(Unfit::Store(error)) => return Err(error),
        Err(Unfit::Refused(reason)) => {
            return Ok(Err(CursorError::Refused {
                exporter: exporter.to_owned(),
                reason,
            }));
        }
    };
    if stand.has_ahead {
        forget_passed(work.tx, exporter, commit.through)?;
    }
    write_exceptions(work.tx, exporter, commit)?;
    work.stands.advance(exporter, stand, commit, &fits);
    work.done.committed = true;
    Ok(Ok(()))
}

/// Deletes the spans that a cursor passes.
fn forget_passed(tx: &Connection, exporter: &str, through: Position) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM ahead WHERE exporter = ?1 AND (seq, first_row) < (?2, ?3)")?
        .execute(params![exporter, through.seq.0, through.row])?;
    Ok(())
}

/// Writes what a commit says beyond where the cursor goes.
fn write_exceptions(tx: &Connection, exporter: &str, commit: &Commit) -> rusqlite::Result<()> {
    for span in &commit.ahead {
        tx.prepare_cached(
            "INSERT INTO ahead (exporter, seq, first_row, rows, items) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            exporter,
            span.seq.0,
            span.first_row,
            span.rows,
            span.items
        ])?;
    }
    for dropped in &commit.dropped {
        tx.prepare_cached(
            "INSERT INTO dropped (exporter, reason, items) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET items = items + excluded.items",
        )?
        .execute(params![exporter, dropped.limit, dropped.items])?;
    }
    for letter in &commit.dead_letters {
        letters::keep(tx, exporter, letter)?;
    }
    for replayed in &commit.replayed {
        letters::end_replay(tx, replayed)?;
    }
    Ok(())
}

/// Moves a cursor to a record, and drops what it passes that is not settled;
/// says how many items that is.
pub(super) fn drop_before(
    work: &mut Work<'_>,
    exporter: &str,
    end: Seq,
    limit: &str,
) -> rusqlite::Result<Result<u64, CursorError>> {
    work.write_stands()?;
    let Some(pending) = cursors::pending_before(work, exporter, end)? else {
        return Ok(Ok(0));
    };
    let commit = Commit {
        through: Position::at(end),
        dropped: vec![DroppedItems {
            limit: limit.to_owned(),
            items: pending,
        }],
        ..Commit::default()
    };
    Ok(settle(work, exporter, &commit)?.map(|()| pending))
}
