//! Reading a journal while it is written.
//!
//! Each read has a connection of its own and ends its transaction before it
//! returns: an open one would keep the log from being checkpointed.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use delfin_plugin_api::Origin;
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::super::JournalStats;
use super::super::cursor::{DroppedItems, ItemCounts};
use super::super::record::{BatchInfo, BatchState, Record};
use super::file;
use crate::batch::{Header, Seq};

/// Connections for reading, as many as there were reads at a time.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Idle>,
}

/// A read that failed, and in which of the files that had the name.
pub(super) struct FailedRead {
    pub(super) generation: u64,
    pub(super) error: rusqlite::Error,
}

#[derive(Default)]
struct Idle {
    /// Grows when the file may have become another one.
    generation: u64,
    connections: Vec<Connection>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Mutex::default(),
        }
    }

    /// Runs a query in a transaction that ends with it.
    pub(super) fn query<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, FailedRead> {
        let (generation, connection) = {
            let mut idle = self.idle();
            (idle.generation, idle.connections.pop())
        };
        let run = || {
            let connection = match connection {
                Some(connection) => connection,
                None => file::open_reader(&self.path)?,
            };
            let transaction = connection.unchecked_transaction()?;
            let found = query(&transaction)?;
            transaction.commit()?;
            Ok((found, connection))
        };
        let (found, connection) = run().map_err(|error| FailedRead { generation, error })?;
        let mut idle = self.idle();
        if idle.generation == generation {
            idle.connections.push(connection);
        }
        Ok(found)
    }

    /// Which of the files that had this name is read now.
    pub(super) fn generation(&self) -> u64 {
        self.idle().generation
    }

    /// Lets go of all connections: the file is another one now.
    pub(super) fn forget(&self) {
        let mut idle = self.idle();
        idle.generation += 1;
        idle.connections.clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first record at or after a sequence number.
pub(super) fn record(tx: &Connection, from: Seq) -> rusqlite::Result<Option<Record>> {
    tx.prepare_cached(
        "SELECT seq, batch_id, origin, storage_id, complete, accepted_ms, rows, items, payload
         FROM batches WHERE seq >= ?1 ORDER BY seq LIMIT 1",
    )?
    .query_row([from.0], |row| {
        Ok(Record {
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
            payload: row.get(8)?,
        })
    })
    .optional()
}

/// What became of an exporter's items. `pending` comes from the records and the
/// letters being replayed alone.
pub(super) fn counts(tx: &Connection, exporter: &str) -> rusqlite::Result<Option<ItemCounts>> {
    let counts = tx
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
    let dropped = tx
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

/// What became of a batch.
pub(super) fn batch(tx: &Connection, batch_id: Uuid) -> rusqlite::Result<Option<BatchInfo>> {
    let info = tx
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
    let exporters = tx
        .prepare_cached(
            "SELECT c.exporter,
                    c.next_seq > ?1 OR ?3 > 0 AND ?3 = iif(c.next_seq = ?1, c.next_row, 0) + (
                        SELECT coalesce(sum(a.rows), 0) FROM ahead a
                        WHERE a.exporter = c.exporter AND a.seq = ?1
                    ),
                    (SELECT coalesce(sum(d.items), 0) FROM dead_letters d
                     WHERE d.batch_id = ?2 AND d.exporter = c.exporter)
             FROM cursors c WHERE c.start_seq <= ?1 AND c.exporter NOT GLOB ':*' ORDER BY c.exporter",
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

/// What the journal holds. What it has done is not in the file.
pub(super) fn held(tx: &Connection) -> rusqlite::Result<JournalStats> {
    let pages: u64 = tx.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let page_bytes: u64 = tx.pragma_query_value(None, "page_size", |row| row.get(0))?;
    // Numbers have no gaps, since records go from the front alone.
    let held = tx
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

/// Where something came from, by the name in a column.
pub(super) fn origin(row: &Row<'_>, column: usize) -> rusqlite::Result<Origin> {
    const KNOWN: [Origin; 6] = [
        Origin::Collection,
        Origin::Sync,
        Origin::Trap,
        Origin::Ingest,
        Origin::Resend,
        Origin::Replay,
    ];
    let name: String = row.get(column)?;
    Ok(KNOWN
        .into_iter()
        .find(|origin| origin.as_str() == name)
        .unwrap_or(Origin::Other))
}
