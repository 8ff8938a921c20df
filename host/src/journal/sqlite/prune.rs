//! Deleting what nobody needs any more: always from the front of the journal.
//!
//! A record that a cursor has still to pass is never deleted here.

use rusqlite::Connection;

use super::super::JournalLimits;
use crate::clock::millis;

/// So that an append never waits long behind deletes.
const MOST_RECORDS: u64 = 1024;
const MOST_BYTES: u64 = 64 << 20;
const VACUUM_PAGES: u64 = 1024;
/// Free pages that stay in the file: the next records need them.
const SLACK_PAGES: u64 = 4096;
/// As long as a sender may take to repeat a request.
const KEY_WINDOW_MS: i64 = 24 * 60 * 60 * 1000;

/// Why records are deleted before their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// They are not.
    None,
    /// The disk is nearly full.
    Space,
    /// The journal is full, and this much must go.
    Room { bytes: u64 },
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pruned {
    pub(super) records: u64,
    /// There is more to delete.
    pub(super) more: bool,
    /// Room goes back to the file system, once the log is checkpointed.
    pub(super) shrunk: bool,
}

/// Deletes records and gives the file's room back, some at a time.
pub(super) fn prune(
    tx: &Connection,
    limits: &JournalLimits,
    now_ms: i64,
    need: Need,
) -> rusqlite::Result<Pruned> {
    let (needed_from, has_exporter): (Option<u64>, bool) = tx
        .prepare_cached(
            "SELECT min(next_seq), coalesce(max(exporter NOT GLOB ':*'), 0) FROM cursors",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let keep = match (has_exporter, need) {
        (true, Need::Space) => 0,
        (true, Need::None | Need::Room { .. }) => millis(limits.retention.min(limits.max_age)),
        (false, _) => millis(limits.max_age),
    };
    let (through, pruned) = last_to_go(tx, needed_from, now_ms.saturating_sub(keep), need)?;
    if pruned.records > 0 {
        tx.prepare_cached("DELETE FROM batches WHERE seq <= ?1")?
            .execute([through])?;
    }
    let shrunk = (pruned.records > 0 || need == Need::Space) && shrink(tx, need)?;
    Ok(Pruned { shrunk, ..pruned })
}

/// Forgets keys that no sender will repeat any more.
pub(super) fn forget_keys(tx: &Connection, now_ms: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM idempotency_keys WHERE accepted_ms < ?1")?
        .execute([now_ms.saturating_sub(KEY_WINDOW_MS)])?;
    Ok(())
}

/// The last record of those to delete, and how many they are.
fn last_to_go(
    tx: &Connection,
    needed_from: Option<u64>,
    accepted_until_ms: i64,
    need: Need,
) -> rusqlite::Result<(u64, Pruned)> {
    let mut records = tx.prepare_cached(
        "SELECT seq, accepted_ms, bytes FROM batches WHERE seq < ?1 ORDER BY seq",
    )?;
    let mut records = records.query([needed_from.unwrap_or(i64::MAX.cast_unsigned())])?;
    let (mut last, mut pruned, mut bytes) = (0, Pruned::default(), 0);
    let mut wanted_bytes = match need {
        Need::Room { bytes } => bytes,
        Need::None | Need::Space => 0,
    };
    while let Some(record) = records.next()? {
        let due = record.get::<_, i64>(1)? <= accepted_until_ms;
        let enough = pruned.records >= MOST_RECORDS || bytes >= MOST_BYTES;
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

/// Gives free pages back to the file system, a few at a time.
fn shrink(tx: &Connection, need: Need) -> rusqlite::Result<bool> {
    let free: u64 = tx.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    let slack = match need {
        Need::Space => 0,
        Need::None | Need::Room { .. } => SLACK_PAGES,
    };
    let pages = free.saturating_sub(slack).min(VACUUM_PAGES);
    if pages > 0 {
        // Each step gives one page back.
        let mut vacuum = tx.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut steps = vacuum.raw_query();
        while steps.next()?.is_some() {}
    }
    Ok(pages > 0)
}
