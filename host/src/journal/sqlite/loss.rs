//! Compares a journal that was opened with its high-water mark, and counts what is missing at
//! its end.

use std::path::Path;

use rusqlite::{Connection, params};

use super::super::counts::DAMAGED;
use super::mark::Mark;
use super::numbering;
use crate::clock::now_ms;

/// Acknowledged items that an opened journal does not have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MissingItems {
    pub(super) items: u64,
    /// The items that were pending, for each exporter that had any.
    pub(super) pending: Vec<(String, u64)>,
}

/// What the journal holds now.
pub(super) fn current(connection: &Connection) -> rusqlite::Result<Mark> {
    let items = connection
        .prepare_cached("SELECT items FROM totals")?
        .query_row([], |row| row.get(0))?;
    let held = connection
        .prepare_cached(
            "SELECT coalesce((SELECT t.items - b.items_before FROM batches b ORDER BY b.seq LIMIT 1), 0)
             FROM totals t",
        )?
        .query_row([], |row| row.get(0))?;
    let pending = connection
        .prepare_cached(
            "SELECT c.exporter, coalesce((
                 SELECT t.items - b.items_before - iif(b.seq = c.next_seq, c.next_items, 0)
                        - (SELECT coalesce(sum(a.items), 0) FROM ahead a WHERE a.exporter = c.exporter)
                 FROM batches b WHERE b.seq >= c.next_seq ORDER BY b.seq LIMIT 1), 0)
             FROM cursors c, totals t",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Mark {
        head: numbering::head(connection)?,
        items,
        held: Some(held),
        pending,
    })
}

/// Whether records are missing at the end of the journal.
pub(super) fn is_behind(connection: &Connection, mark: &Mark) -> rusqlite::Result<bool> {
    Ok(numbering::head(connection)? < mark.head)
}

/// Counts the missing items of each exporter as dropped, with `damaged` as the limit, and
/// continues the sequence numbers after the mark. Both in one transaction, so that a crash
/// counts nothing twice: the head tells whether it was done.
///
/// `accepted` grows by what is counted as dropped. The running totals stay as they are, because
/// they describe the records that exist. An exporter that the journal does not know any more
/// gets its cursor again, after the mark.
pub(super) fn count_missing(
    connection: &Connection,
    mark: &Mark,
) -> rusqlite::Result<MissingItems> {
    if !is_behind(connection, mark)? {
        return Ok(MissingItems::default());
    }
    let transaction = connection.unchecked_transaction()?;
    let held: u64 = transaction.query_row("SELECT items FROM totals", [], |row| row.get(0))?;
    let missing = mark.items.saturating_sub(held);
    let items = mark.held.map_or(missing, |held| missing.min(held));
    for exporter in mark.pending.keys() {
        transaction.execute(
            "INSERT OR IGNORE INTO cursors (exporter, start, start_seq, start_items, next_seq, created_ms)
             VALUES (?1, 'now', ?2 + 1, ?3, ?2 + 1, ?4)",
            params![exporter, mark.head, held, now_ms()],
        )?;
    }
    let exporters: Vec<String> = transaction
        .prepare("SELECT exporter FROM cursors ORDER BY exporter")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut pending = Vec::new();
    for exporter in exporters {
        let lost = items.min(mark.pending.get(&exporter).copied().unwrap_or(items));
        if lost == 0 {
            continue;
        }
        transaction.execute(
            "UPDATE cursors SET start_items = start_items - ?2 WHERE exporter = ?1",
            params![exporter, lost],
        )?;
        transaction.execute(
            "INSERT INTO dropped (exporter, reason, items) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET items = items + excluded.items",
            params![exporter, DAMAGED, lost],
        )?;
        pending.push((exporter, lost));
    }
    numbering::continue_after(&transaction, mark.head)?;
    transaction.commit()?;
    pending.retain(|(exporter, _)| !exporter.starts_with(':'));
    Ok(MissingItems { items, pending })
}

/// Logs what is missing.
pub(super) fn report(path: &Path, missing: &MissingItems) {
    log::error!(journal:% = path.display(), items = missing.items; "acknowledged items are missing at the end of the journal");
    report_lost(&missing.pending);
}

/// Logs the items that exporters lost.
pub(super) fn report_lost(lost: &[(String, u64)]) {
    for (exporter, items) in lost {
        log::error!(exporter = exporter.as_str(), items = *items; "items were lost with the damaged journal");
    }
}
