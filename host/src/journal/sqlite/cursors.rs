//! Opens, replays and removes cursors.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::cursor::{Cursor, Position, RowSpan, StartFrom, log_removed_orphan};
use super::super::error::CursorError;
use super::counts;
use super::seek;
use super::transaction::WriteTransaction;
use crate::batch::Seq;

/// The columns that [`from_row`] reads.
const COLUMNS: &str = "exporter, next_seq, next_row, next_items, created_ms, last_success_ms, \
                       last_error, last_error_ms, replay_end, unused_since_ms";

/// Every table with rows of an exporter, the cursors last.
const TABLES: [&str; 4] = ["dead_letters", "dropped", "ahead", "cursors"];

/// The cursor of an exporter, created if it is missing. Its caller uses it, so it is
/// no longer unused.
pub(super) fn open(
    tx: &mut WriteTransaction<'_>,
    exporter: &str,
    start: StartFrom,
) -> rusqlite::Result<Cursor> {
    tx.write_cursors()?;
    if find(tx.connection, exporter)?.is_none() {
        create(tx, exporter, start)?;
    }
    tx.connection
        .prepare_cached("UPDATE cursors SET unused_since_ms = NULL WHERE exporter = ?1 AND unused_since_ms IS NOT NULL")?
        .execute([exporter])?;
    let cursor = find(tx.connection, exporter)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    with_ahead(tx.connection, cursor)
}

fn create(tx: &WriteTransaction<'_>, exporter: &str, start: StartFrom) -> rusqlite::Result<()> {
    let (name, seq) = match start {
        StartFrom::Now => ("now", Seq(tx.head + 1)),
        StartFrom::Earliest => ("earliest", seek::oldest(tx.connection)?),
        StartFrom::Ago(time) => {
            let seq = seek::seq_within(tx.connection, tx.rules.clock, time)?;
            ("ago", seq)
        }
    };
    tx.connection
        .prepare_cached(
            "INSERT INTO cursors (exporter, start, start_seq, start_items, next_seq, created_ms)
             VALUES (?1, ?2, ?3, ?4, ?3, ?5)",
        )?
        .execute(params![
            exporter,
            name,
            seq.0,
            items_before(tx, seq)?,
            tx.now_ms
        ])?;
    Ok(())
}

pub(super) fn record_error(
    tx: &WriteTransaction<'_>,
    exporter: &str,
    message: &str,
) -> rusqlite::Result<Result<(), CursorError>> {
    let changed = tx
        .connection
        .prepare_cached(
            "UPDATE cursors SET last_error = ?2, last_error_ms = ?3 WHERE exporter = ?1",
        )?
        .execute(params![exporter, message, tx.now_ms])?;
    Ok(if changed == 1 {
        Ok(())
    } else {
        Err(missing(exporter))
    })
}

/// Moves a cursor back to the first record since a time. The result is the number of
/// items that become pending again.
///
/// Those items are accepted a second time (`replayed_items`), so that the counts
/// still add up when they get a second disposition. Row spans ahead of the old
/// position stay: their items are in neither sum.
pub(super) fn replay(
    tx: &mut WriteTransaction<'_>,
    exporter: &str,
    since_ms: i64,
) -> rusqlite::Result<Result<u64, CursorError>> {
    tx.write_cursors()?;
    let Some(cursor) = find(tx.connection, exporter)? else {
        return Ok(Err(missing(exporter)));
    };
    let from = seek::seq_since(tx.connection, since_ms)?;
    if Position::at(from) >= cursor.next {
        return Ok(Ok(0));
    }
    let was_before = items_before(tx, cursor.next.seq)? + cursor.next.items;
    let replayed = was_before.saturating_sub(items_before(tx, from)?);
    // A cursor inside a record: the rows before it are replayed, so the record is
    // part of the replay.
    let end = Seq(cursor.next.seq.0 + u64::from(cursor.next.row > 0));
    tx.connection
        .prepare_cached(
            "UPDATE cursors SET next_seq = ?2, next_row = 0, next_items = 0, start_seq = min(start_seq, ?2),
                 replayed_items = replayed_items + ?3, replay_end = max(coalesce(replay_end, 0), ?4)
             WHERE exporter = ?1",
        )?
        .execute(params![exporter, from.0, replayed, end.0])?;
    tx.summary.committed = true;
    Ok(Ok(replayed))
}

/// Marks the cursors of exporters that are not configured as unused, and the others
/// as used.
pub(super) fn set_configured(
    tx: &mut WriteTransaction<'_>,
    exporters: &[String],
) -> rusqlite::Result<()> {
    let names = serde_json::Value::from(exporters);
    tx.connection
        .prepare_cached(
            "UPDATE cursors SET unused_since_ms = iif(
                 exporter GLOB ':*' OR exporter IN (SELECT value FROM json_each(?1)),
                 NULL, coalesce(unused_since_ms, ?2))",
        )?
        .execute(params![names.to_string(), tx.now_ms])?;
    tx.summary.configured = true;
    // A batch that waits for an unused cursor only is done now.
    tx.summary.committed = true;
    Ok(())
}

/// Items without a disposition between a cursor and a record; `None` if the cursor is
/// at the record or past it, or if there is no such record.
pub(super) fn pending_before(
    tx: &WriteTransaction<'_>,
    exporter: &str,
    end: Seq,
) -> rusqlite::Result<Option<u64>> {
    let Some(cursor) = find(tx.connection, exporter)? else {
        return Ok(None);
    };
    if Position::at(end) <= cursor.next || end.0 > tx.head + 1 {
        return Ok(None);
    }
    let spans = with_ahead(tx.connection, cursor.clone())?.ahead.into_iter();
    let ahead: u64 = spans
        .filter(|span| span.seq < end)
        .map(|span| span.items)
        .sum();
    let committed = items_before(tx, cursor.next.seq)? + cursor.next.items + ahead;
    Ok(Some(items_before(tx, end)?.saturating_sub(committed)))
}

/// Removes a cursor with its counts and dead letters. False: no such cursor.
pub(super) fn remove(tx: &mut WriteTransaction<'_>, exporter: &str) -> rusqlite::Result<bool> {
    // A change in memory would otherwise be written after the cursor was removed.
    tx.write_cursors()?;
    let mut removed = 0;
    for table in TABLES {
        removed = tx
            .connection
            .prepare_cached(&format!("DELETE FROM {table} WHERE exporter = ?1"))?
            .execute([exporter])?;
    }
    tx.summary.committed = true;
    Ok(removed > 0)
}

/// Gives a cursor another name, in place of a cursor that has it. False: no such cursor.
pub(super) fn rename(
    tx: &mut WriteTransaction<'_>,
    exporter: &str,
    to: &str,
) -> rusqlite::Result<bool> {
    tx.write_cursors()?;
    if exporter == to || find(tx.connection, exporter)?.is_none() {
        return Ok(false);
    }
    remove(tx, to)?;
    for table in TABLES {
        tx.connection
            .prepare_cached(&format!(
                "UPDATE {table} SET exporter = ?2 WHERE exporter = ?1"
            ))?
            .execute([exporter, to])?;
    }
    Ok(true)
}

/// Removes the cursors that have been unused for too long.
pub(super) fn remove_orphans(tx: &mut WriteTransaction<'_>) -> rusqlite::Result<()> {
    let unused: Vec<(String, i64)> = tx
        .connection
        .prepare_cached(
            "SELECT exporter, unused_since_ms FROM cursors WHERE unused_since_ms IS NOT NULL",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (exporter, since_ms) in unused {
        if tx.rules.clock.age(since_ms) < tx.rules.limits.orphan_ttl {
            continue;
        }
        tx.write_cursors()?;
        let pending = counts::counts(tx.connection, &exporter)?.map_or(0, |counts| counts.pending);
        remove(tx, &exporter)?;
        log_removed_orphan(&exporter, pending);
    }
    Ok(())
}

/// The cursors of exporters, by name.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Cursor>> {
    let mut cursors = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM cursors WHERE exporter NOT GLOB ':*' ORDER BY exporter"
    ))?;
    cursors
        .query_map([], from_row)?
        .map(|cursor| with_ahead(connection, cursor?))
        .collect()
}

fn find(connection: &Connection, exporter: &str) -> rusqlite::Result<Option<Cursor>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM cursors WHERE exporter = ?1"
        ))?
        .query_row([exporter], from_row)
        .optional()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Cursor> {
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

/// Adds the row spans ahead of the cursor.
fn with_ahead(connection: &Connection, cursor: Cursor) -> rusqlite::Result<Cursor> {
    let ahead = connection
        .prepare_cached("SELECT seq, first_row, rows, items FROM ahead WHERE exporter = ?1 ORDER BY seq, first_row")?
        .query_map([&cursor.exporter], |row| {
            Ok(RowSpan {
                seq: Seq(row.get(0)?),
                first_row: row.get(1)?,
                rows: row.get(2)?,
                items: row.get(3)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Cursor { ahead, ..cursor })
}

/// Items that were appended before the first record at or after a sequence number.
fn items_before(tx: &WriteTransaction<'_>, seq: Seq) -> rusqlite::Result<u64> {
    let before = tx
        .connection
        .prepare_cached("SELECT items_before FROM batches WHERE seq >= ?1 ORDER BY seq LIMIT 1")?
        .query_row([seq.0], |row| row.get(0))
        .optional()?;
    Ok(before.unwrap_or(tx.appended_items))
}

fn missing(exporter: &str) -> CursorError {
    CursorError::Missing {
        exporter: exporter.to_owned(),
    }
}
