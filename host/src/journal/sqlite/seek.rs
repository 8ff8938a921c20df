//! Finds a record by its age, or by the bytes before it.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use super::numbering;
use crate::batch::Seq;
use crate::clock::HostClock;

/// The oldest record; the next one to come if the journal holds none.
pub(super) fn oldest(connection: &Connection) -> rusqlite::Result<Seq> {
    let oldest = connection
        .prepare_cached("SELECT min(seq) FROM batches")?
        .query_row([], |row| row.get::<_, Option<u64>>(0))?;
    match oldest {
        Some(seq) => Ok(Seq(seq)),
        None => Ok(Seq(numbering::head(connection)? + 1)),
    }
}

/// The first record that is at most so old; the next one to come if there is no such
/// record. An age does not see that the clock was set.
pub(super) fn seq_within(
    connection: &Connection,
    clock: &HostClock,
    age: Duration,
) -> rusqlite::Result<Seq> {
    first_accepted(connection, |accepted_ms| clock.age(accepted_ms) <= age)
}

/// The first record that was accepted at or after a time; the next one to come if
/// there is no such record.
///
/// Times grow from record to record, unless the clock was set back. Then some records
/// have earlier times than records before them, and the binary search may end at
/// either side of the step. A scan of all records would be exact, and would read a
/// full journal for a replay that starts a few minutes too early or too late.
pub(super) fn seq_since(connection: &Connection, accepted_ms: i64) -> rusqlite::Result<Seq> {
    first_accepted(connection, |found_ms| found_ms >= accepted_ms)
}

/// The first record whose time matches.
fn first_accepted(connection: &Connection, matches: impl Fn(i64) -> bool) -> rusqlite::Result<Seq> {
    let mut accepted =
        connection.prepare_cached("SELECT accepted_ms FROM batches WHERE seq = ?1")?;
    partition_point(connection, |seq| {
        let found: Option<i64> = accepted.query_row([seq], |row| row.get(0)).optional()?;
        Ok(found.is_some_and(&matches))
    })
}

/// The first record with at least so many bytes of records before it.
///
/// `bytes_before` counts from the first record ever, so the bytes of pruned records
/// are added first.
pub(super) fn seq_after_bytes(connection: &Connection, bytes: u64) -> rusqlite::Result<Seq> {
    let pruned: Option<u64> = connection
        .prepare_cached("SELECT bytes_before FROM batches ORDER BY seq LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let wanted = pruned.unwrap_or(0).saturating_add(bytes);
    let mut before =
        connection.prepare_cached("SELECT bytes_before FROM batches WHERE seq = ?1")?;
    partition_point(connection, |seq| {
        let found: Option<u64> = before.query_row([seq], |row| row.get(0)).optional()?;
        Ok(found.is_some_and(|found| found >= wanted))
    })
}

/// The first sequence number that matches. Every later one must match too.
fn partition_point(
    connection: &Connection,
    mut matches: impl FnMut(u64) -> rusqlite::Result<bool>,
) -> rusqlite::Result<Seq> {
    let (mut low, mut high) = (oldest(connection)?.0, numbering::head(connection)? + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if matches(middle)? {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(Seq(low))
}
