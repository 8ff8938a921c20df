//! Making cursors, and moving them.
//!
//! A settlement that does not fit the journal writes nothing.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::cursor::{Cursor, DeadLetter, Position, Settlement, Span, StartFrom};
use super::super::error::CursorError;
use super::super::record::Seq;
use super::check::{Unfit, check};
use super::work::Work;

/// The columns that [`cursor_of`] reads.
pub(super) const CURSOR_COLUMNS: &str = "exporter, next_seq, next_row, next_items, created_ms, last_success_ms, last_error, last_error_ms";

/// The exporter's cursor, made now if it has none.
pub(super) fn open_cursor(
    work: &mut Work<'_>,
    exporter: &str,
    start: StartFrom,
) -> rusqlite::Result<Cursor> {
    work.write_stands()?;
    if let Some(cursor) = find(work.tx, exporter)? {
        return with_ahead(work.tx, cursor);
    }
    let after_head = (work.head + 1, work.items);
    let (name, (seq, items)) = match start {
        StartFrom::Now => ("now", after_head),
        StartFrom::Earliest => ("earliest", oldest(work.tx)?.unwrap_or(after_head)),
    };
    work.tx
        .prepare_cached(
            "INSERT INTO cursors (exporter, start, start_seq, start_items, next_seq, created_ms)
             VALUES (?1, ?2, ?3, ?4, ?3, ?5)",
        )?
        .execute(params![exporter, name, seq, items, work.now_ms])?;
    find(work.tx, exporter)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// Moves a cursor, with the counts and dead letters that belong to it.
pub(super) fn settle(
    work: &mut Work<'_>,
    exporter: &str,
    settlement: &Settlement,
) -> rusqlite::Result<Result<(), CursorError>> {
    let Some(stand) = work.stands.get(work.tx, exporter)? else {
        return Ok(Err(CursorError::Missing {
            exporter: exporter.to_owned(),
        }));
    };
    let items_before = match check(work, exporter, &stand, settlement) {
        Ok(items_before) => items_before,
        Err(Unfit::Store(error)) => return Err(error),
        Err(Unfit::Refused(reason)) => {
            return Ok(Err(CursorError::Refused {
                exporter: exporter.to_owned(),
                reason,
            }));
        }
    };
    if stand.has_ahead {
        forget_passed(work.tx, exporter, settlement.through)?;
    }
    write_exceptions(work.tx, exporter, settlement)?;
    work.stands
        .advance(exporter, stand, settlement, items_before);
    work.done.settled = true;
    Ok(Ok(()))
}

/// Notes what went wrong at an exporter.
pub(super) fn record_error(
    work: &Work<'_>,
    exporter: &str,
    message: &str,
) -> rusqlite::Result<Result<(), CursorError>> {
    let changed = work
        .tx
        .prepare_cached(
            "UPDATE cursors SET last_error = ?2, last_error_ms = ?3 WHERE exporter = ?1",
        )?
        .execute(params![exporter, message, work.now_ms])?;
    Ok(if changed == 1 {
        Ok(())
    } else {
        Err(CursorError::Missing {
            exporter: exporter.to_owned(),
        })
    })
}

pub(super) fn cursor_of(row: &Row<'_>) -> rusqlite::Result<Cursor> {
    Ok(Cursor {
        exporter: row.get(0)?,
        next: Position {
            seq: Seq(row.get(1)?),
            row: row.get(2)?,
            items: row.get(3)?,
        },
        created_ms: row.get(4)?,
        last_success_ms: row.get(5)?,
        last_error: row.get(6)?,
        last_error_ms: row.get(7)?,
        ahead: Vec::new(),
    })
}

/// The cursor with what is settled ahead of it.
pub(super) fn with_ahead(tx: &Connection, cursor: Cursor) -> rusqlite::Result<Cursor> {
    let ahead = tx
        .prepare_cached("SELECT seq, first_row, rows, items FROM ahead WHERE exporter = ?1 ORDER BY seq, first_row")?
        .query_map([&cursor.exporter], |row| {
            Ok(Span { seq: Seq(row.get(0)?), first_row: row.get(1)?, rows: row.get(2)?, items: row.get(3)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Cursor { ahead, ..cursor })
}

fn find(tx: &Connection, exporter: &str) -> rusqlite::Result<Option<Cursor>> {
    tx.prepare_cached(&format!(
        "SELECT {CURSOR_COLUMNS} FROM cursors WHERE exporter = ?1"
    ))?
    .query_row([exporter], cursor_of)
    .optional()
}

/// The oldest record held, and how many items came before it.
fn oldest(tx: &Connection) -> rusqlite::Result<Option<(u64, u64)>> {
    tx.prepare_cached("SELECT seq, items_before FROM batches ORDER BY seq LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Deletes the spans that a cursor passes.
fn forget_passed(tx: &Connection, exporter: &str, through: Position) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM ahead WHERE exporter = ?1 AND (seq, first_row) < (?2, ?3)")?
        .execute(params![exporter, through.seq.0, through.row])?;
    Ok(())
}

/// Writes what a settlement says beyond where the cursor goes.
fn write_exceptions(
    tx: &Connection,
    exporter: &str,
    settlement: &Settlement,
) -> rusqlite::Result<()> {
    for span in &settlement.ahead {
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
    for dropped in &settlement.dropped {
        tx.prepare_cached(
            "INSERT INTO dropped (exporter, reason, items) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET items = items + excluded.items",
        )?
        .execute(params![exporter, dropped.limit, dropped.items])?;
    }
    for letter in &settlement.dead_letters {
        keep(tx, exporter, letter)?;
    }
    Ok(())
}

fn keep(tx: &Connection, exporter: &str, letter: &DeadLetter) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO dead_letters (exporter, plugin_version, batch_id, seq, first_row, rows, items, origin, storage_id,
                                   accepted_ms, code, reason, attempts, first_ms, last_ms, bytes, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?
    .execute(params![
        exporter,
        letter.plugin_version,
        letter.batch_id,
        letter.seq.0,
        letter.first_row,
        letter.rows,
        letter.items,
        letter.origin.as_str(),
        letter.storage_id,
        letter.accepted_ms,
        letter.code,
        letter.reason,
        letter.attempts,
        letter.first_ms,
        letter.last_ms,
        letter.payload.len() as u64,
        letter.payload,
    ])?;
    Ok(())
}
