//! Copies what can be read of a damaged file into a new one.
//!
//! Cursors, counts and dead letters are small, and are copied whole or not at all.
//! Records are copied from the newest back to the first one that cannot be read. The
//! journal must stay without gaps, so only one side of the damage can be kept. The
//! newest records are pending for every exporter, whereas the oldest ones are most
//! likely delivered already. Items that were pending in lost records are counted as
//! dropped, with `damaged` as the limit. The counts of an exporter that do not add up begin
//! again, because nothing tells which of them is wrong.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params, types::Value};

use super::connection::open_reader;
use super::counts;
use super::mark::Mark;
use super::windows;
use crate::sqlite::FailureKind;

/// Copies everything except records and row spans.
const COPY_STATE: &str = include_str!("salvage/state.sql");
/// Places the cursors among the copied records.
const PLACE_CURSORS: &str = include_str!("salvage/cursors.sql");

/// Columns of a record.
const COLUMNS: usize = 12;
/// How often a read that finds damage is made.
const ATTEMPTS: u32 = 3;
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// What was copied of a damaged file.
pub(super) enum Salvaged {
    Some {
        /// The number of lost items of each exporter that lost any.
        lost: Vec<(String, u64)>,
    },
    /// Not even the cursors can be read, and why.
    Nothing(rusqlite::Error),
}

/// Copies into an empty journal. A read that fails is repeated, and an error other than damage
/// ends the copy: the caller tries again later.
pub(super) fn salvage(
    connection: &Connection,
    damaged: &Path,
    mark: Option<&Mark>,
) -> rusqlite::Result<Salvaged> {
    match persistently(|| copy(connection, damaged, mark)) {
        Ok(lost) => Ok(Salvaged::Some { lost }),
        Err(error) if is_damage(&error) => Ok(Salvaged::Nothing(error)),
        Err(error) => Err(error),
    }
}

/// Repeats a read that finds damage, with new connections: SQLite reports a failed read as
/// damage, and the disk may fail for a moment only.
fn persistently<T>(mut read: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let mut result = read();
    for _ in 1..ATTEMPTS {
        match &result {
            Err(error) if is_damage(error) => thread::sleep(RETRY_DELAY),
            Ok(_) | Err(_) => break,
        }
        result = read();
    }
    result
}

fn is_damage(error: &rusqlite::Error) -> bool {
    FailureKind::of(error) == FailureKind::Damaged
}

fn copy(
    connection: &Connection,
    damaged: &Path,
    mark: Option<&Mark>,
) -> rusqlite::Result<Vec<(String, u64)>> {
    connection.execute("ATTACH ?1 AS damaged", [damaged.to_string_lossy()])?;
    let lost = copy_attached(connection, damaged, mark);
    connection.execute_batch("DETACH damaged")?;
    lost
}

/// One transaction: after an error the new file is empty. `state.sql` counts all
/// pending items as lost first, and `cursors.sql` subtracts those that the copied
/// records still hold.
fn copy_attached(
    connection: &Connection,
    damaged: &Path,
    mark: Option<&Mark>,
) -> rusqlite::Result<Vec<(String, u64)>> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(COPY_STATE)?;
    copy_windows(&transaction, damaged)?;
    let records = copy_records(&transaction, damaged)?;
    if records > 0 {
        log::info!(records = records; "salvaged records of the damaged journal");
        transaction.execute_batch(PLACE_CURSORS)?;
    }
    for exporter in with_wrong_counts(&transaction, damaged)? {
        restart_counts(&transaction, &exporter, mark)?;
    }
    transaction.execute_batch(
        "INSERT INTO main.dropped SELECT exporter, 'damaged', lost FROM temp.lost WHERE lost > 0
         ON CONFLICT DO UPDATE SET items = items + excluded.items",
    )?;
    let lost = transaction
        .prepare("SELECT exporter, lost FROM temp.lost WHERE lost > 0 AND exporter NOT GLOB ':*'")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    transaction.execute_batch("DROP TABLE temp.lost")?;
    transaction.commit()?;
    Ok(lost)
}

/// The exporters whose counts do not add up in the damaged file, or could not add up in the new one.
fn with_wrong_counts(
    connection: &Connection,
    damaged: &Path,
) -> rusqlite::Result<BTreeSet<String>> {
    let faults = persistently(|| open_reader(damaged).and_then(|reader| counts::faults(&reader)));
    let faults = match faults {
        Err(error) if is_damage(&error) => Vec::new(),
        faults => faults?,
    };
    let mut wrong: BTreeSet<_> = faults.into_iter().map(|fault| fault.exporter).collect();
    let mut impossible = connection
        .prepare("SELECT exporter FROM temp.lost WHERE lost < 0 OR typeof(lost) <> 'integer'")?;
    for exporter in impossible.query_map([], |row| row.get(0))? {
        wrong.insert(exporter?);
    }
    Ok(wrong)
}

/// Begins the counts of an exporter again, with what is pending from the begin of the record that its cursor
/// is in: rows may be delivered again. What was pending before is in the mark, which is a file of its own.
fn restart_counts(
    connection: &Connection,
    exporter: &str,
    mark: Option<&Mark>,
) -> rusqlite::Result<()> {
    log::warn!(exporter; "the counts of an exporter were damaged, and begin again");
    connection.execute(
        "UPDATE main.cursors SET replayed_items = 0, delivered = 0, dead_lettered = 0, filtered = 0,
             next_row = 0, next_items = 0, start_items = (SELECT items FROM main.totals)
         WHERE exporter = ?1",
        [exporter],
    )?;
    connection.execute("DELETE FROM main.dropped WHERE exporter = ?1", [exporter])?;
    connection.execute("DELETE FROM main.ahead WHERE exporter = ?1", [exporter])?;
    let pending = counts::counts(connection, exporter)?.map_or(0, |counts| counts.pending);
    let was_pending = mark.and_then(|mark| mark.pending.get(exporter)).copied();
    let lost = was_pending
        .unwrap_or(0)
        .saturating_sub(u64::try_from(pending).unwrap_or(0));
    connection.execute(
        "UPDATE main.cursors SET start_items = start_items - ?2 - ?3 WHERE exporter = ?1",
        params![exporter, pending, lost],
    )?;
    connection.execute(
        "UPDATE temp.lost SET lost = ?2 WHERE exporter = ?1",
        params![exporter, lost],
    )?;
    Ok(())
}

/// Copies until when each storage is collected. Without it, as of a file of an older host or of damaged pages, the next window
/// of each begins with the present.
fn copy_windows(connection: &Connection, damaged: &Path) -> rusqlite::Result<()> {
    let windows = match persistently(|| windows::all(&open_reader(damaged)?)) {
        Err(error) if is_damage(&error) => Vec::new(),
        windows => windows?,
    };
    for window in &windows {
        windows::note(connection, window)?;
    }
    Ok(())
}

/// Copies records, the newest first, until one cannot be read. The result is their
/// number.
///
/// The damaged file has connections of its own here: an error that one meets must not spoil
/// the transaction of the new file.
fn copy_records(connection: &Connection, damaged: &Path) -> rusqlite::Result<u64> {
    let mut write = connection.prepare(
        "INSERT INTO main.batches VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    let (mut items, mut bytes): (i64, i64) =
        connection.query_row("SELECT items, bytes FROM main.totals", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let mut reader = None;
    let (mut until, mut copied) = (i64::MAX, 0);
    loop {
        let record = match persistently(|| read_record(&mut reader, damaged, until)) {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(error) if is_damage(&error) => break,
            Err(error) => return Err(error),
        };
        // The running totals must continue from this record to the one after it. Otherwise a
        // record is missing in between, and nothing before it can be used.
        if record.items_end != items || record.bytes_end != bytes {
            break;
        }
        (items, bytes, until) = (record.items_before, record.bytes_before, record.seq - 1);
        write.execute(rusqlite::params_from_iter(record.columns))?;
        copied += 1;
    }
    Ok(copied)
}

/// A record of the damaged file.
struct DamagedRecord {
    seq: i64,
    items_before: i64,
    items_end: i64,
    bytes_before: i64,
    bytes_end: i64,
    columns: Vec<Value>,
}

/// The last record up to a sequence number. Keeps a connection that works, and opens a new one
/// after an error.
fn read_record(
    reader: &mut Option<Connection>,
    damaged: &Path,
    until: i64,
) -> rusqlite::Result<Option<DamagedRecord>> {
    let connection = match reader.take() {
        Some(connection) => connection,
        None => open_reader(damaged)?,
    };
    let record = connection
        .prepare_cached(
            "SELECT seq, batch_id, origin, storage_id, complete, accepted_ms, rows, items,
                    items_before, bytes, bytes_before, payload
             FROM batches WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1",
        )?
        .query_row([until], |row| {
            let (items_before, bytes_before): (i64, i64) = (row.get(8)?, row.get(10)?);
            Ok(DamagedRecord {
                seq: row.get(0)?,
                items_before,
                items_end: items_before.saturating_add(row.get(7)?),
                bytes_before,
                bytes_end: bytes_before.saturating_add(row.get(9)?),
                columns: (0..COLUMNS)
                    .map(|column| row.get(column))
                    .collect::<rusqlite::Result<_>>()?,
            })
        })
        .optional()?;
    *reader = Some(connection);
    Ok(record)
}
