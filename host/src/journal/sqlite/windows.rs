//! The last window that was collected from each storage.
//!
//! A row is written in the transaction of its batch, and outlives it.

use rusqlite::{Connection, OptionalExtension, params};

use super::super::record::{CollectedWindow, Receipt};
use crate::batch::Seq;

/// Until when a storage is collected, in milliseconds since the Unix epoch.
pub(super) fn until_ms(connection: &Connection, storage_id: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT until_ms FROM collected_windows WHERE storage_id = ?1")?
        .query_row([storage_id], |row| row.get(0))
        .optional()
}

/// Notes a window, in place of an earlier one of the storage.
pub(super) fn note(connection: &Connection, window: &CollectedWindow) -> rusqlite::Result<()> {
    let receipt = &window.receipt;
    connection
        .prepare_cached("INSERT OR REPLACE INTO collected_windows VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            window.storage_id,
            window.until_ms,
            receipt.batch_id,
            receipt.seq.0,
            receipt.items,
            window.accepted_ms,
        ])?;
    Ok(())
}

/// The windows of all storages; none in a file of an older host.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<CollectedWindow>> {
    let exists = "SELECT 1 FROM sqlite_schema WHERE name = 'collected_windows'";
    if !connection.prepare(exists)?.exists([])? {
        return Ok(Vec::new());
    }
    let mut windows = connection.prepare(
        "SELECT storage_id, until_ms, batch_id, seq, items, accepted_ms FROM collected_windows",
    )?;
    let windows = windows.query_map([], |row| {
        Ok(CollectedWindow {
            storage_id: row.get(0)?,
            until_ms: row.get(1)?,
            receipt: Receipt {
                batch_id: row.get(2)?,
                seq: Seq(row.get(3)?),
                items: row.get(4)?,
                repeated: true,
            },
            accepted_ms: row.get(5)?,
        })
    })?;
    windows.collect()
}
