//! What can still be read of a damaged file, taken over into a new one.
//!
//! Cursors, counts and dead letters outlive their records. Records are taken over
//! from the newest back to the first that cannot be read: what was accepted last
//! waits for everyone. What was pending before that is lost, and counted.

use std::path::Path;

use rusqlite::{Connection, types::Value};

use super::file::{self, number_from};

/// Everything but records.
const REST: &str = include_str!("salvage/rest.sql");
/// Where cursors stand among the records that were taken over.
const PLACES: &str = include_str!("salvage/places.sql");

/// How many columns a record has.
const COLUMNS: usize = 12;

/// Takes over what can be read of the file that was moved aside; says what each
/// exporter lost.
pub(super) fn take_over(
    connection: &Connection,
    aside: &Path,
    head: u64,
) -> rusqlite::Result<Vec<(String, u64)>> {
    connection.execute("ATTACH ?1 AS damaged", [aside.to_string_lossy()])?;
    let taken = (|| {
        let transaction = connection.unchecked_transaction()?;
        transaction.execute_batch(REST)?;
        let records = take_records(&transaction, aside)?;
        number_from(&transaction, head)?;
        if records > 0 {
            log::info!(records = records; "records of the damaged journal were taken over");
            transaction.execute_batch(PLACES)?;
        } else {
            // A cursor stands behind the last number given, which this host may know better than the file.
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
            .prepare(
                "SELECT exporter, lost FROM temp.lost WHERE lost > 0 AND exporter NOT GLOB ':*'",
            )?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        transaction.execute_batch("DROP TABLE temp.lost")?;
        transaction.commit()?;
        Ok(lost)
    })();
    connection.execute_batch("DETACH damaged")?;
    taken
}

/// Takes records over, the newest first, as far as they can be read; says how many.
fn take_records(connection: &Connection, aside: &Path) -> rusqlite::Result<u64> {
    // Damage that this one meets must not spoil the transaction of the other.
    let damaged = file::open_reader(aside)?;
    let mut read = damaged.prepare(
        "SELECT seq, batch_id, origin, storage_id, complete, accepted_ms, rows, items, items_before,
                bytes, bytes_before, payload
         FROM batches WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1",
    )?;
    let mut keep = connection.prepare(
        "INSERT INTO main.batches VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    let mut next_items: i64 =
        connection.query_row("SELECT items FROM main.totals", [], |row| row.get(0))?;
    let (mut from, mut taken) = (i64::MAX.cast_unsigned(), 0);
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
        // What comes before a gap, in numbers or in items, is of no use.
        if (taken > 0 && seq != from) || before + items != next_items {
            break;
        }
        next_items = before;
        keep.execute(rusqlite::params_from_iter(row))?;
        taken += 1;
        from = seq.saturating_sub(1);
    }
    Ok(taken)
}
