//! Making cursors, finding them, moving them back, and letting go of them.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::cursor::{Cursor, Position, RowSpan, StartFrom};
use super::super::error::CursorError;
use super::place;
use super::work::Work;
use crate::{batch::Seq, clock::millis};

/// The columns that [`cursor_of`] reads.
const COLUMNS: &str = "exporter, next_seq, next_row, next_items, created_ms, last_success_ms, \
                       last_error, last_error_ms, replay_end, unused_since_ms";

/// The exporter's cursor, made now if it has none. Whoever asks for it uses it.
pub(super) fn open(
    work: &mut Work<'_>,
    exporter: &str,
    start: StartFrom,
) -> rusqlite::Result<Cursor> {
    work.write_stands()?;
    if find(work.tx, exporter)?.is_none() {
        make(work, exporter, start)?;
    }
    work.tx
        .prepare_cached("UPDATE cursors SET unused_since_ms = NULL WHERE exporter = ?1 AND unused_since_ms IS NOT NULL")?
        .execute([exporter])?;
    let cursor = find(work.tx, exporter)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    with_ahead(work.tx, cursor)
}

fn make(work: &Work<'_>, exporter: &str, start: StartFrom) -> rusqlite::Result<()> {
    let (name, seq) = match start {
        StartFrom::Now => ("now", Seq(work.head + 1)),
        StartFrom::Earliest => ("earliest", place::oldest(work.tx)?),
        StartFrom::Ago(time) => {
            let since_ms = work.now_ms.saturating_sub(millis(time));
            ("ago", place::seq_since(work.tx, since_ms)?)
        }
    };
    work.tx
        .prepare_cached(
            "INSERT INTO cursors (exporter, start, start_seq, start_items, next_seq, created_ms)
             VALUES (?1, ?2, ?3, ?4, ?3, ?5)",
        )?
        .execute(params![
            exporter,
            name,
            seq.0,
            items_before(work, seq)?,
            work.now_ms
        ])?;
    Ok(())
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
        Err(missing(exporter))
    })
}

/// Moves a cursor back; says how many items are asked for once more.
pub(super) fn replay(
    work: &mut Work<'_>,
    exporter: &str,
    since_ms: i64,
) -> rusqlite::Result<Result<u64, CursorError>> {
    work.write_stands()?;
    let Some(cursor) = find(work.tx, exporter)? else {
        return Ok(Err(missing(exporter)));
    };
    let from = place::seq_since(work.tx, since_ms)?;
    if Position::at(from) >= cursor.next {
        return Ok(Ok(0));
    }
    let was_before = items_before(work, cursor.next.seq)? + cursor.next.items;
    let replayed = was_before.saturating_sub(items_before(work, from)?);
    // Of a record that was settled in part, the first rows come once more.
    let end = Seq(cursor.next.seq.0 + u64::from(cursor.next.row > 0));
    work.tx
        .prepare_cached(
            "UPDATE cursors SET next_seq = ?2, next_row = 0, next_items = 0, start_seq = min(start_seq, ?2),
                 replayed_items = replayed_items + ?3, replay_end = max(coalesce(replay_end, 0), ?4)
             WHERE exporter = ?1",
        )?
        .execute(params![exporter, from.0, replayed, end.0])?;
    work.done.committed = true;
    Ok(Ok(replayed))
}

/// Marks cursors that no configured exporter has, and unmarks the others.
pub(super) fn set_configured(work: &mut Work<'_>, exporters: &[String]) -> rusqlite::Result<()> {
    let names = serde_json::Value::from(exporters);
    work.tx
        .prepare_cached(
            "UPDATE cursors SET unused_since_ms = iif(
                 exporter GLOB ':*' OR exporter IN (SELECT value FROM json_each(?1)),
                 NULL, coalesce(unused_since_ms, ?2))",
        )?
        .execute(params![names.to_string(), work.now_ms])?;
    work.done.configured = true;
    Ok(())
}

/// How many items an exporter has still to settle before a record; nothing if
/// its cursor is past it.
pub(super) fn pending_before(
    work: &Work<'_>,
    exporter: &str,
    end: Seq,
) -> rusqlite::Result<Option<u64>> {
    let Some(cursor) = find(work.tx, exporter)? else {
        return Ok(None);
    };
    if Position::at(end) <= cursor.next || end.0 > work.head + 1 {
        return Ok(None);
    }
    let ahead = with_ahead(work.tx, cursor.clone())?.ahead.into_iter();
    let settled: u64 = ahead
        .filter(|span| span.seq < end)
        .map(|span| span.items)
        .sum();
    let before = items_before(work, cursor.next.seq)? + cursor.next.items + settled;
    Ok(Some(items_before(work, end)?.saturating_sub(before)))
}

/// Removes a cursor with all that belongs to it; says whether it was there.
pub(super) fn remove(work: &mut Work<'_>, exporter: &str) -> rusqlite::Result<bool> {
    work.write_stands()?;
    for table in ["dead_letters", "dropped", "ahead"] {
        work.tx
            .prepare_cached(&format!("DELETE FROM {table} WHERE exporter = ?1"))?
            .execute([exporter])?;
    }
    let removed = work
        .tx
        .prepare_cached("DELETE FROM cursors WHERE exporter = ?1")?
        .execute([exporter])?;
    work.done.committed = true;
    Ok(removed > 0)
}

/// Removes the cursors that have been unused for too long.
pub(super) fn remove_orphans(work: &mut Work<'_>) -> rusqlite::Result<()> {
    let until_ms = work.now_ms.saturating_sub(millis(work.limits.orphan_ttl));
    let orphans: Vec<String> = work
        .tx
        .prepare_cached("SELECT exporter FROM cursors WHERE unused_since_ms <= ?1")?
        .query_map([until_ms], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for exporter in orphans {
        work.write_stands()?;
        let pending = super::read::counts(work.tx, &exporter)?.map_or(0, |counts| counts.pending);
        remove(work, &exporter)?;
        if pending == 0 {
            log::info!(exporter = exporter.as_str(); "the cursor of an exporter that is no longer configured was removed");
        } else {
            log::error!(exporter = exporter.as_str(), items = pending; "items were given up with the cursor of an exporter that is no longer configured");
        }
    }
    Ok(())
}

/// The exporters' cursors, by name.
pub(super) fn all(tx: &Connection) -> rusqlite::Result<Vec<Cursor>> {
    let mut cursors = tx.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM cursors WHERE exporter NOT GLOB ':*' ORDER BY exporter"
    ))?;
    cursors
        .query_map([], cursor_of)?
        .map(|cursor| with_ahead(tx, cursor?))
        .collect()
}

fn find(tx: &Connection, exporter: &str) -> rusqlite::Result<Option<Cursor>> {
    tx.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM cursors WHERE exporter = ?1"
    ))?
    .query_row([exporter], cursor_of)
    .optional()
}

fn cursor_of(row: &Row<'_>) -> rusqlite::Result<Cursor> {
    let next = Position {
        seq: Seq(row.get(1)?),
        row: row.get(2)?,
        items: row.get(3)?,
    };
    let replay_end: Option<u64> = row.get(8)?;
    Ok(Cursor {
        exporter: row.get(0)?,
        next,
        created_ms: row.get(4)?,
        last_success_ms: row.get(5)?,
        last_error: row.get(6)?,
        last_error_ms: row.get(7)?,
        ahead: Vec::new(),
        replay_end: replay_end.map(Seq).filter(|end| next.seq < *end),
        unused_since_ms: row.get(9)?,
    })
}

/// The cursor with what is settled ahead of it.
fn with_ahead(tx: &Connection, cursor: Cursor) -> rusqlite::Result<Cursor> {
    let ahead = tx
        .prepare_cached("SELECT seq, first_row, rows, items FROM ahead WHERE exporter = ?1 ORDER BY seq, first_row")?
        .query_map([&cursor.exporter], |row| {
            Ok(RowSpan { seq: Seq(row.get(0)?), first_row: row.get(1)?, rows: row.get(2)?, items: row.get(3)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Cursor { ahead, ..cursor })
}

/// How many items were appended before the first record at or after a number.
fn items_before(work: &Work<'_>, seq: Seq) -> rusqlite::Result<u64> {
    let before = work
        .tx
        .prepare_cached("SELECT items_before FROM batches WHERE seq >= ?1 ORDER BY seq LIMIT 1")?
        .query_row([seq.0], |row| row.get(0))
        .optional()?;
    Ok(before.unwrap_or(work.items))
}

fn missing(exporter: &str) -> CursorError {
    CursorError::Missing {
        exporter: exporter.to_owned(),
    }
}
