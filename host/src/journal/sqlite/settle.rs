//! Making cursors, and moving them.
//!
//! A settlement is checked against the journal before anything is written: it
//! must go forward, and say of each item that it passes what became of it.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::cursor::{Cursor, DeadLetter, Position, Settlement, StartFrom};
use super::super::error::CursorError;
use super::super::record::Seq;
use super::work::Work;

/// The columns that [`cursor_of`] reads.
pub(super) const CURSOR_COLUMNS: &str = "exporter, next_seq, next_row, next_items, created_ms, last_success_ms, last_error, last_error_ms";

/// The exporter's cursor, made now if it has none.
pub(super) fn open_cursor(
    work: &Work<'_>,
    exporter: &str,
    start: StartFrom,
) -> rusqlite::Result<Cursor> {
    if let Some(cursor) = find(work.tx, exporter)? {
        return Ok(cursor);
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
    work: &Work<'_>,
    exporter: &str,
    settlement: &Settlement,
) -> rusqlite::Result<Result<(), CursorError>> {
    let Some(cursor) = find(work.tx, exporter)? else {
        return Ok(Err(CursorError::Missing {
            exporter: exporter.to_owned(),
        }));
    };
    if let Err(reason) = check(work, cursor.next, settlement)? {
        return Ok(Err(CursorError::Refused {
            exporter: exporter.to_owned(),
            reason,
        }));
    }
    let Settlement {
        through,
        delivered,
        filtered,
        dropped,
        dead_letters,
    } = settlement;
    for dropped in dropped {
        work.tx
            .prepare_cached(
                "INSERT INTO dropped (exporter, reason, items) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET items = items + excluded.items",
            )?
            .execute(params![exporter, dropped.limit, dropped.items])?;
    }
    for letter in dead_letters {
        keep(work.tx, exporter, letter)?;
    }
    work.tx
        .prepare_cached(
            "UPDATE cursors SET next_seq = ?2, next_row = ?3, next_items = ?4,
                 delivered = delivered + ?5, filtered = filtered + ?6, dead_lettered = dead_lettered + ?7,
                 last_success_ms = iif(?5 > 0, ?8, last_success_ms)
             WHERE exporter = ?1",
        )?
        .execute(params![
            exporter,
            through.seq.0,
            through.row,
            through.items,
            delivered,
            filtered,
            settlement.dead_lettered(),
            work.now_ms,
        ])?;
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
    })
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

/// Whether a settlement goes forward and accounts for what it passes.
fn check(
    work: &Work<'_>,
    from: Position,
    settlement: &Settlement,
) -> rusqlite::Result<Result<(), String>> {
    let through = settlement.through;
    if (through.seq, through.row) < (from.seq, from.row) {
        return Ok(Err(format!("{through} is before the cursor at {from}")));
    }
    let (before, after) = match (items_before(work, from)?, items_before(work, through)?) {
        (Some(before), Some(after)) => (before, after),
        (_, None) => return Ok(Err(format!("the journal has no {through}"))),
        (None, _) => return Ok(Err(format!("the journal has lost the cursor's {from}"))),
    };
    match (after.checked_sub(before), settlement.items()) {
        (Some(passed), said) if passed == said => Ok(Ok(())),
        (passed, said) => Ok(Err(format!(
            "from {from} to {through} there are {} items, it speaks of {said}",
            passed.unwrap_or(0)
        ))),
    }
}

/// How many items were appended before a position; nothing if there is no such position.
fn items_before(work: &Work<'_>, position: Position) -> rusqlite::Result<Option<u64>> {
    let record: Option<(u64, u64, u64, u64)> = work
        .tx
        .prepare_cached("SELECT seq, rows, items, items_before FROM batches WHERE seq >= ?1 ORDER BY seq LIMIT 1")?
        .query_row([position.seq.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let at_start = position.row == 0 && position.items == 0;
    Ok(match record {
        None => (at_start && position.seq.0 <= work.head + 1).then_some(work.items),
        Some((_, _, _, before)) if at_start => Some(before),
        Some((seq, rows, items, before)) => {
            (seq == position.seq.0 && (1..rows).contains(&position.row) && position.items <= items)
                .then_some(before + position.items)
        }
    })
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
