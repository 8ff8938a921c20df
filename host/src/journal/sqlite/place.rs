//! Finding records by their age or by what is held before them.
//!
//! Numbers, sizes and, but for a clock set back, times only grow from record to
//! record, so that a few looks find the place.

use rusqlite::{Connection, OptionalExtension};

use super::super::cursor::Backlog;
use super::work;
use crate::batch::Seq;

/// The oldest record held; the next one to come if there is none.
pub(super) fn oldest(tx: &Connection) -> rusqlite::Result<Seq> {
    let oldest = tx
        .prepare_cached("SELECT min(seq) FROM batches")?
        .query_row([], |row| row.get::<_, Option<u64>>(0))?;
    match oldest {
        Some(seq) => Ok(Seq(seq)),
        None => Ok(Seq(work::head(tx)? + 1)),
    }
}

/// The first record accepted at or after a time; the next one to come if there is none.
pub(super) fn seq_since(tx: &Connection, accepted_ms: i64) -> rusqlite::Result<Seq> {
    let mut accepted = tx.prepare_cached("SELECT accepted_ms FROM batches WHERE seq = ?1")?;
    first(tx, |seq| {
        let found: Option<i64> = accepted.query_row([seq], |row| row.get(0)).optional()?;
        Ok(found.is_some_and(|found| found >= accepted_ms))
    })
}

/// The first record before which so many bytes are held.
pub(super) fn seq_after_bytes(tx: &Connection, bytes: u64) -> rusqlite::Result<Seq> {
    let gone: Option<u64> = tx
        .prepare_cached("SELECT bytes_before FROM batches ORDER BY seq LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let wanted = gone.unwrap_or(0).saturating_add(bytes);
    let mut before = tx.prepare_cached("SELECT bytes_before FROM batches WHERE seq = ?1")?;
    first(tx, |seq| {
        let found: Option<u64> = before.query_row([seq], |row| row.get(0)).optional()?;
        Ok(found.is_some_and(|found| found >= wanted))
    })
}

/// What waits for an exporter.
pub(super) fn backlog(tx: &Connection, exporter: &str) -> rusqlite::Result<Option<Backlog>> {
    let Some(counts) = super::read::counts(tx, exporter)? else {
        return Ok(None);
    };
    let records = tx
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

/// The first number of which something is true that is true of all after it.
fn first(
    tx: &Connection,
    mut holds: impl FnMut(u64) -> rusqlite::Result<bool>,
) -> rusqlite::Result<Seq> {
    let (mut low, mut high) = (oldest(tx)?.0, work::head(tx)? + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle)? {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(Seq(low))
}
