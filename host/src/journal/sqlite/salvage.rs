//! Copies what can be read of a damaged file into a new one.
//!
//! Cursors, counts and dead letters are small, and are copied whole or not at all.
//! Records are copied from the newest back to the first one that cannot be read. The
//! journal must stay without gaps, so only one side of the damage can be kept. The
//! newest records are pending for every exporter, whereas the oldest ones are most
//! likely delivered already. Items that were pending in lost records are counted as
//! dropped, with `damaged` as the limit.

use std::path::Path;

use rusqlite::{Connection, types::Value};

use super::numbering;

/// Copies everything except records and row spans.
const COPY_STATE: &str = include_str!("salvage/state.sql");
/// Places the cursors among the copied records.
const PLACE_CURSORS: &str = include_str!("salvage/cursors.sql");

/// Columns of a record.
const COLUMNS: usize = 12;

/// Copies from the file that was moved aside. `damaged` is a connection for reading
/// that file. The result is the number of lost items of each exporter that lost any.
pub(super) fn salvage(
    connection: &Connection,
    damaged: Connection,
    aside: &Path,
    head: u64,
) -> rusqlite::Result<Vec<(String, u64)>> {
    connection.execute("ATTACH ?1 AS damaged", [aside.to_string_lossy()])?;
    let lost = copy(connection, &damaged, head);
    // The read-only connection closes first: SQLite removes the log of a file when the
    // last connection closes, unless that one is read-only.
    drop(damaged);
    connection.execute_batch("DETACH damaged")?;
    lost
}

/// One transaction: after an error the new file is empty. `state.sql` counts all
/// pending items as lost first, and `cursors.sql` subtracts those that the copied
/// records still hold.
fn copy(
    connection: &Connection,
    damaged: &Connection,
    head: u64,
) -> rusqlite::Result<Vec<(String, u64)>> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(COPY_STATE)?;
    let records = copy_records(&transaction, damaged)?;
    numbering::continue_after(&transaction, head)?;
    if records > 0 {
        log::info!(records = records; "salvaged records of the damaged journal");
        transaction.execute_batch(PLACE_CURSORS)?;
    } else {
        // The host may know a later sequence number than the file. Without records,
        // every cursor must be behind it.
        transaction.execute(
            "UPDATE cursors SET next_seq = max(next_seq, ?1 + 1)",
            [head],
        )?;
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

/// Copies records, the newest first, until one cannot be read. The result is their
/// number.
///
/// `damaged` is a connection of its own: an error that it meets ends the copy, and
/// must not spoil the transaction of the new file.
fn copy_records(connection: &Connection, damaged: &Connection) -> rusqlite::Result<u64> {
    let mut read = damaged.prepare(
        "SELECT seq, batch_id, origin, storage_id, complete, accepted_ms, rows, items, items_before,
                bytes, bytes_before, payload
         FROM batches WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1",
    )?;
    let mut write = connection.prepare(
        "INSERT INTO main.batches VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    let mut next_items: i64 =
        connection.query_row("SELECT items FROM main.totals", [], |row| row.get(0))?;
    let (mut from, mut copied) = (i64::MAX.cast_unsigned(), 0);
    while let Ok(row) = read.query_row([from], |row| {
        (0..COLUMNS)
            .map(|column| row.get(column))
            .collect::<rusqlite::Result<Vec<Value>>>()
    }) {
        let [
            Value::Integer(seq),
            ..,
            Value::Integer(items),
            Value::Integer(before),
            _,
            _,
            _,
        ] = row[..]
        else {
            break;
        };
        let seq = seq.cast_unsigned();
        // The running total must continue from the record after this one. A gap in
        // sequence numbers or in items means that a record is missing in between, and
        // nothing before it can be used.
        if (copied > 0 && seq != from) || before + items != next_items {
            break;
        }
        next_items = before;
        write.execute(rusqlite::params_from_iter(row))?;
        copied += 1;
        from = seq.saturating_sub(1);
    }
    Ok(copied)
}
