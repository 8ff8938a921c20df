//! Counts of an exporter.

use rusqlite::{Connection, OptionalExtension};

use super::super::counts::{Backlog, DroppedItems, ItemCounts};

/// The counts of an exporter; `None` without a cursor.
///
/// `accepted` comes from the running total of all appended items, less its value when
/// the cursor was made. `pending` is derived from the records alone:
///
/// - the running total, less `items_before` of the first record at or after the
///   cursor: the items of all records from there on; nothing if no record follows;
/// - less `next_items`: the items of rows in that record before the cursor;
/// - less the items in row spans ahead of the cursor, which have a disposition;
/// - plus the items of dead letters in replay, which are pending a second time.
///
/// So `accepted` and `pending` do not depend on the counters of dispositions, and
/// `ItemCounts::unaccounted` shows if one of the three is wrong.
pub(super) fn counts(
    connection: &Connection,
    exporter: &str,
) -> rusqlite::Result<Option<ItemCounts>> {
    let counts = connection
        .prepare_cached(
            "SELECT t.items - c.start_items + c.replayed_items, c.replayed_items,
                    c.delivered, c.dead_lettered, c.filtered,
                    coalesce((SELECT t.items - b.items_before - iif(b.seq = c.next_seq, c.next_items, 0)
                              FROM batches b WHERE b.seq >= c.next_seq ORDER BY b.seq LIMIT 1), 0)
                    - (SELECT coalesce(sum(a.items), 0) FROM ahead a WHERE a.exporter = c.exporter)
                    + (SELECT coalesce(sum(d.items), 0) FROM dead_letters d
                       WHERE d.exporter = c.exporter AND d.replayed_ms IS NOT NULL)
             FROM cursors c, totals t WHERE c.exporter = ?1",
        )?
        .query_row([exporter], |row| {
            Ok(ItemCounts {
                accepted: row.get(0)?,
                replayed: row.get(1)?,
                delivered: row.get(2)?,
                dead_lettered: row.get(3)?,
                filtered: row.get(4)?,
                pending: row.get(5)?,
                dropped: Vec::new(),
            })
        })
        .optional()?;
    let Some(counts) = counts else {
        return Ok(None);
    };
    let dropped = connection
        .prepare_cached("SELECT reason, items FROM dropped WHERE exporter = ?1 ORDER BY reason")?
        .query_map([exporter], |row| {
            Ok(DroppedItems {
                limit: row.get(0)?,
                items: row.get(1)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some(ItemCounts { dropped, ..counts }))
}

/// An exporter whose counts cannot be right, and why.
#[derive(Debug)]
pub(super) struct CountFault {
    pub(super) exporter: String,
    pub(super) reason: String,
}

/// The exporters whose counts do not add up, or are no counts: something has changed a number in the file.
pub(super) fn faults(connection: &Connection) -> rusqlite::Result<Vec<CountFault>> {
    let mut cursors = connection.prepare("SELECT exporter FROM cursors ORDER BY exporter")?;
    let exporters = cursors.query_map([], |row| row.get(0))?;
    let mut faults = Vec::new();
    for exporter in exporters.collect::<rusqlite::Result<Vec<String>>>()? {
        let reason = match counts(connection, &exporter) {
            Ok(counts) => match counts.map_or(0, |counts| counts.unaccounted()) {
                0 => match row_beyond_record(connection, &exporter)? {
                    None => continue,
                    Some(row) => format!("its cursor is at row {row} of a record that has fewer"),
                },
                items => format!("{items} items are unaccounted for"),
            },
            // A value that is no count. Where SQLite fails, another table may be damaged.
            Err(error) if error.sqlite_error_code().is_none() => error.to_string(),
            Err(error) => return Err(error),
        };
        faults.push(CountFault { exporter, reason });
    }
    Ok(faults)
}

/// The row of its record at which a cursor is, if the record has not so many.
fn row_beyond_record(connection: &Connection, exporter: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached(
            "SELECT next_row FROM cursors JOIN batches ON seq = next_seq
             WHERE exporter = ?1 AND next_row > rows",
        )?
        .query_row([exporter], |row| row.get(0))
        .optional()
}

/// The backlog of an exporter; `None` without a cursor.
pub(super) fn backlog(
    connection: &Connection,
    exporter: &str,
) -> rusqlite::Result<Option<Backlog>> {
    let Some(counts) = counts(connection, exporter)? else {
        return Ok(None);
    };
    let records = connection
        .prepare_cached(
            "SELECT t.bytes - b.bytes_before, b.accepted_ms
             FROM cursors c, totals t, batches b WHERE c.exporter = ?1 AND b.seq >= c.next_seq
             ORDER BY b.seq LIMIT 1",
        )?
        .query_row([exporter], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (bytes, oldest_accepted_ms) = records.unwrap_or((0, None));
    Ok(Some(Backlog {
        items: u64::try_from(counts.pending).unwrap_or(0),
        bytes,
        oldest_accepted_ms,
    }))
}
