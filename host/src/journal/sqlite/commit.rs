//! Writes a commit. A commit that contradicts the journal writes nothing.

use rusqlite::{Connection, params};

use super::super::commit::Commit;
use super::super::commit_check::{CommitCheckError, check};
use super::super::counts::DroppedItems;
use super::super::cursor::Position;
use super::super::error::CursorError;
use super::cursor_update::CursorUpdate;
use super::cursors;
use super::dead_letters;
use super::transaction::WriteTransaction;
use crate::batch::Seq;

/// Advances a cursor, with its counts and dead letters.
pub(super) fn commit(
    tx: &mut WriteTransaction<'_>,
    exporter: &str,
    commit: &Commit,
) -> rusqlite::Result<Result<(), CursorError>> {
    let Some(cursor) = tx.cursor_updates.get(tx.connection, exporter)? else {
        return Ok(Err(CursorError::Missing {
            exporter: exporter.to_owned(),
        }));
    };
    let checked = match check(&*tx, exporter, &cursor.committing(), commit) {
        Ok(checked) => checked,
        Err(CommitCheckError::Store(error)) => return Err(error),
        Err(CommitCheckError::Refused(reason)) => {
            return Ok(Err(CursorError::Refused {
                exporter: exporter.to_owned(),
                reason,
            }));
        }
    };
    // Most commits have no row spans and no dead letters. Those change no table here:
    // the cursor is advanced in memory, and written once for the whole group.
    if cursor.has_ahead {
        delete_passed_spans(tx.connection, exporter, commit.through)?;
    }
    write_details(tx.connection, exporter, commit)?;
    let update = CursorUpdate {
        next: commit.through,
        items_before: Some(checked.items_before),
        has_ahead: cursor.has_ahead || !commit.ahead.is_empty(),
        delivered: cursor.delivered + commit.delivered + checked.replayed_delivered,
        filtered: cursor.filtered + commit.filtered,
        dead_lettered: cursor.dead_lettered
            + commit.dead_lettered()
            + checked.replayed_dead_lettered,
    };
    tx.cursor_updates.set(exporter, update);
    tx.summary.committed = true;
    Ok(Ok(()))
}

/// Advances a cursor to a record, and drops the items without a disposition before
/// it. The result is their number.
pub(super) fn drop_before(
    tx: &mut WriteTransaction<'_>,
    exporter: &str,
    end: Seq,
    limit: &str,
) -> rusqlite::Result<Result<u64, CursorError>> {
    tx.write_cursors()?;
    let Some(pending) = cursors::pending_before(tx, exporter, end)? else {
        return Ok(Ok(0));
    };
    let drop = Commit {
        through: Position::at(end),
        dropped: vec![DroppedItems {
            limit: limit.to_owned(),
            items: pending,
        }],
        ..Commit::default()
    };
    Ok(commit(tx, exporter, &drop)?.map(|()| pending))
}

/// Deletes the row spans before a position. Their items were counted when they were
/// committed, and the position covers them now.
fn delete_passed_spans(
    connection: &Connection,
    exporter: &str,
    through: Position,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM ahead WHERE exporter = ?1 AND (seq, first_row) < (?2, ?3)")?
        .execute(params![exporter, through.seq.0, through.row])?;
    Ok(())
}

/// Writes everything except the cursor.
fn write_details(connection: &Connection, exporter: &str, commit: &Commit) -> rusqlite::Result<()> {
    for span in &commit.ahead {
        connection
            .prepare_cached(
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
        connection
            .prepare_cached(
                "INSERT INTO dropped (exporter, reason, items) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET items = items + excluded.items",
            )?
            .execute(params![exporter, dropped.limit, dropped.items])?;
    }
    for dead_letter in &commit.dead_letters {
        dead_letters::insert(connection, exporter, dead_letter)?;
    }
    for replayed in &commit.replayed {
        dead_letters::end_replay(connection, replayed)?;
    }
    Ok(())
}
