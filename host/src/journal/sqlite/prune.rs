//! Deletes records that no cursor needs, always from the front of the journal.
//!
//! A record that a cursor has still to pass is never deleted here.

use std::time::Duration;

use rusqlite::Connection;

use super::connection::PAGE_BYTES;
use super::rules::JournalRules;
use crate::clock::HostClock;
use crate::journal::{KEY_TTL, WINDOW_TTL};

// Limits of one transaction, so that appends do not wait long for deletes.
const MAX_RECORDS: u64 = 1024;
const MAX_BYTES: u64 = 64 << 20;
const MAX_VACUUM_PAGES: u64 = (4 << 20) / PAGE_BYTES;

/// Free pages that stay in the file for the next records.
const SPARE_PAGES: u64 = (16 << 20) / PAGE_BYTES;

/// Why records are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PruneReason {
    /// Their retention is over.
    Age,
    /// The disk is short of space: records are deleted before their retention is over.
    DiskSpace,
    /// The journal is full: at least `bytes` are needed, regardless of retention.
    Room { bytes: u64 },
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PruneResult {
    pub(super) records: u64,
    /// More records can be deleted.
    pub(super) more: bool,
    /// Pages were given back. The file gets smaller at the next checkpoint.
    pub(super) shrunk: bool,
}

/// Deletes records, and gives free pages of the file back to the file system.
///
/// Records before the slowest cursor are candidates. Of these, the ones older than
/// the retention are deleted. A journal without a cursor of an exporter keeps its
/// records for `max_age`, for the first exporter to come.
pub(super) fn prune(
    connection: &Connection,
    rules: JournalRules<'_>,
    reason: PruneReason,
) -> rusqlite::Result<PruneResult> {
    let (needed_from, has_exporter): (Option<u64>, bool) = connection
        .prepare_cached(
            "SELECT min(next_seq), coalesce(max(exporter NOT GLOB ':*'), 0) FROM cursors",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let keep = match reason {
        PruneReason::DiskSpace if has_exporter => Duration::ZERO,
        PruneReason::DiskSpace | PruneReason::Age | PruneReason::Room { .. } => {
            rules.limits.kept_for(has_exporter)
        }
    };
    let is_due = |accepted_ms| rules.clock.age(accepted_ms) >= keep;
    let (last, pruned) = select(connection, needed_from, is_due, reason)?;
    if pruned.records > 0 {
        connection
            .prepare_cached("DELETE FROM batches WHERE seq <= ?1")?
            .execute([last])?;
    }
    let shrunk = (pruned.records > 0 || reason == PruneReason::DiskSpace)
        && give_pages_back(connection, reason)?;
    Ok(PruneResult { shrunk, ..pruned })
}

/// Deletes idempotency keys that no client sends again, and windows of storages that are gone.
pub(super) fn forget(connection: &Connection, clock: &HostClock) -> rusqlite::Result<()> {
    const KEYS: &str = "DELETE FROM idempotency_keys WHERE accepted_ms >= ?1 AND accepted_ms < ?2";
    const WINDOWS: &str =
        "DELETE FROM collected_windows WHERE accepted_ms >= ?1 AND accepted_ms < ?2";
    for (delete, ttl) in [(KEYS, KEY_TTL), (WINDOWS, WINDOW_TTL)] {
        let mut delete = connection.prepare_cached(delete)?;
        for range in clock.older_than(ttl) {
            delete.execute(range)?;
        }
    }
    Ok(())
}

/// The last of the records to delete, and their number.
///
/// The scan starts at the oldest record. Until the wanted bytes are reached it takes
/// every record; from then on only records that are due, up to the limits of one
/// transaction. It stops at the first record that stays, so no gap can arise.
fn select(
    connection: &Connection,
    needed_from: Option<u64>,
    is_due: impl Fn(i64) -> bool,
    reason: PruneReason,
) -> rusqlite::Result<(u64, PruneResult)> {
    let mut records = connection.prepare_cached(
        "SELECT seq, accepted_ms, bytes FROM batches WHERE seq < ?1 ORDER BY seq",
    )?;
    let mut records = records.query([needed_from.unwrap_or(i64::MAX.cast_unsigned())])?;
    let (mut last, mut pruned, mut bytes) = (0, PruneResult::default(), 0);
    let mut wanted_bytes = match reason {
        PruneReason::Room { bytes } => bytes,
        PruneReason::Age | PruneReason::DiskSpace => 0,
    };
    while let Some(record) = records.next()? {
        let due = is_due(record.get(1)?);
        let enough = pruned.records >= MAX_RECORDS || bytes >= MAX_BYTES;
        if wanted_bytes == 0 && (enough || !due) {
            pruned.more = due;
            break;
        }
        let size: u64 = record.get(2)?;
        wanted_bytes = wanted_bytes.saturating_sub(size);
        bytes += size;
        last = record.get(0)?;
        pruned.records += 1;
    }
    Ok((last, pruned))
}

/// Gives some free pages back to the file system. Without need, spare pages stay: the
/// next records would only make the file grow again.
fn give_pages_back(connection: &Connection, reason: PruneReason) -> rusqlite::Result<bool> {
    let free: u64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    let spare = match reason {
        PruneReason::DiskSpace => 0,
        PruneReason::Age | PruneReason::Room { .. } => SPARE_PAGES,
    };
    let pages = free.saturating_sub(spare).min(MAX_VACUUM_PAGES);
    if pages > 0 {
        // Each step of the statement gives one page back.
        let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut steps = vacuum.raw_query();
        while steps.next()?.is_some() {}
    }
    Ok(pages > 0)
}
