//! Queries of records and of the journal as a whole.

use std::ops::RangeInclusive;

use delfin_plugin_api::Origin;
use rusqlite::{Connection, OptionalExtension, Row, ffi};
use uuid::Uuid;

use super::super::JournalStats;
use super::super::record::{BatchInfo, BatchState, ReadLimit, Record};
use super::groups;
use crate::batch::{Header, Seq, codec::RecordPayload};

/// The records at or after a sequence number, up to a limit, or one that is larger.
pub(super) fn records(
    connection: &Connection,
    from: Seq,
    limit: ReadLimit,
) -> rusqlite::Result<Vec<Record>> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, batch_id, origin, storage_id, complete, accepted_ms, rows, items, payload
         FROM batches WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = statement.query((from.0, limit.records))?;
    let (mut records, mut bytes) = (Vec::new(), 0);
    let mut group_start = 0;
    while bytes < limit.bytes
        && let Some(row) = rows.next()?
    {
        let (record, payload) = whole_record(row)?;
        records.push(record);
        if !payload.is_empty() {
            let group = &mut records[group_start..];
            groups::fill(connection, group, payload)?;
            let sizes = group.iter().map(|record| record.payload.bytes() as usize);
            bytes += sizes.sum::<usize>();
            group_start = records.len();
        }
    }
    groups::fill(connection, &mut records[group_start..], Vec::new())?;
    Ok(records)
}

/// The newest record in a range that is of a storage, or of more than one storage.
///
/// The payload is the last column, so that SQLite skips other records without reading theirs.
pub(super) fn record_back(
    connection: &Connection,
    range: &RangeInclusive<Seq>,
    storage_id: &str,
) -> rusqlite::Result<Option<Record>> {
    let found = connection
        .prepare_cached(
            "SELECT seq, batch_id, origin, storage_id, complete, accepted_ms, rows, items, payload
         FROM batches WHERE seq BETWEEN ?1 AND ?2 AND (storage_id = ?3 OR storage_id IS NULL)
         ORDER BY seq DESC LIMIT 1",
        )?
        .query_row((range.start().0, range.end().0, storage_id), whole_record)
        .optional()?;
    let Some((mut record, payload)) = found else {
        return Ok(None);
    };
    groups::fill(connection, std::slice::from_mut(&mut record), payload)?;
    Ok(Some(record))
}

/// A record without its payload, and what is stored with it.
fn whole_record(row: &Row<'_>) -> rusqlite::Result<(Record, Vec<u8>)> {
    let record = Record {
        seq: Seq(row.get(0)?),
        header: Header {
            batch_id: row.get(1)?,
            origin: origin(row, 2)?,
            storage_id: row.get(3)?,
            complete: row.get(4)?,
            accepted_ms: row.get(5)?,
            items: row.get(7)?,
        },
        rows: row.get(6)?,
        payload: RecordPayload::default(),
    };
    Ok((record, row.get(8)?))
}

/// A batch and its state at each exporter; `None` after it was pruned.
///
/// An exporter is done with a record when its cursor is past it, or when the rows
/// before the cursor and the row spans ahead of it together are all of its rows. Row
/// spans do not overlap, so the sum of their rows is enough. A record without rows
/// is done only when the cursor is past it.
pub(super) fn batch(
    connection: &Connection,
    batch_id: Uuid,
) -> rusqlite::Result<Option<BatchInfo>> {
    let info = connection
        .prepare_cached("SELECT seq, rows, items, accepted_ms FROM batches WHERE batch_id = ?1")?
        .query_row([batch_id], |row| {
            Ok(BatchInfo {
                seq: Seq(row.get(0)?),
                rows: row.get(1)?,
                items: row.get(2)?,
                accepted_ms: row.get(3)?,
                exporters: Vec::new(),
            })
        })
        .optional()?;
    let Some(info) = info else { return Ok(None) };
    let exporters = connection
        .prepare_cached(
            "SELECT c.exporter,
                    c.next_seq > ?1 OR ?3 > 0 AND ?3 = iif(c.next_seq = ?1, c.next_row, 0) + (
                        SELECT coalesce(sum(a.rows), 0) FROM ahead a
                        WHERE a.exporter = c.exporter AND a.seq = ?1
                    ),
                    (SELECT coalesce(sum(d.items), 0) FROM dead_letters d
                     WHERE d.batch_id = ?2 AND d.exporter = c.exporter)
             FROM cursors c WHERE c.start_seq <= ?1 AND c.unused_since_ms IS NULL AND c.exporter NOT GLOB ':*' ORDER BY c.exporter",
        )?
        .query_map((info.seq.0, batch_id, info.rows), |row| {
            Ok(BatchState {
                exporter: row.get(0)?,
                committed: row.get(1)?,
                dead_lettered: row.get(2)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some(BatchInfo { exporters, ..info }))
}

/// What the journal holds. The writer counts its activity in memory.
pub(super) fn held(connection: &Connection) -> rusqlite::Result<JournalStats> {
    let pages: u64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let page_bytes: u64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    // Records are appended at the end and deleted from the front only, so the number of
    // records and their bytes follow from the first and the last one, without a scan.
    let held = connection
        .prepare_cached(
            "SELECT (SELECT max(seq) FROM batches) - b.seq + 1, t.bytes - b.bytes_before, b.accepted_ms,
                    coalesce((SELECT t.bytes - n.bytes_before FROM batches n
                              WHERE n.seq >= (SELECT min(next_seq) FROM cursors) ORDER BY n.seq LIMIT 1), 0)
             FROM batches b, totals t ORDER BY b.seq LIMIT 1",
        )?
        .query_row([], |row| {
            Ok(JournalStats {
                records: row.get(0)?,
                bytes: row.get(1)?,
                oldest_accepted_ms: row.get(2)?,
                needed_bytes: row.get(3)?,
                ..JournalStats::default()
            })
        })
        .optional()?;
    Ok(JournalStats {
        file_bytes: pages * page_bytes,
        ..held.unwrap_or_default()
    })
}

/// Fails if the structure of the file is damaged.
pub(super) fn check(connection: &Connection) -> rusqlite::Result<()> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    let damage = ffi::Error::new(ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(damage, Some(found)))
}

/// The origin with the name in a column; `Other` for the name of a newer host.
pub(super) fn origin(row: &Row<'_>, column: usize) -> rusqlite::Result<Origin> {
    let name: String = row.get(column)?;
    Ok(Origin::from_name(&name))
}
