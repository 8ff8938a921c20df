//! Cursors that changed in the open transaction and are not in the file yet.
//!
//! A group often has many commits of one cursor. Each cursor is read once, advanced
//! in memory, and written once: at the end of the transaction, or before a statement
//! that reads the table `cursors`.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::super::commit_check::CommittingCursor;
use super::super::cursor::Position;
use crate::batch::Seq;

/// The new position of a cursor, and what its counts grow by.
#[derive(Clone, Copy, Debug)]
pub(super) struct CursorUpdate {
    pub(super) next: Position,
    /// Items that were appended before `next`, if a commit has looked them up.
    pub(super) items_before: Option<u64>,
    /// Whether rows after `next` may be committed already.
    pub(super) has_ahead: bool,
    pub(super) delivered: u64,
    pub(super) filtered: u64,
    pub(super) dead_lettered: u64,
}

impl CursorUpdate {
    pub(super) const fn committing(&self) -> CommittingCursor {
        CommittingCursor {
            next: self.next,
            items_before: self.items_before,
            has_ahead: self.has_ahead,
        }
    }
}

/// The changed cursors, by exporter.
#[derive(Default)]
pub(super) struct CursorUpdates {
    by_exporter: HashMap<String, CursorUpdate>,
}

impl CursorUpdates {
    /// The cursor as this transaction sees it; `None` if the exporter has no cursor.
    pub(super) fn get(
        &self,
        connection: &Connection,
        exporter: &str,
    ) -> rusqlite::Result<Option<CursorUpdate>> {
        if let Some(update) = self.by_exporter.get(exporter) {
            return Ok(Some(*update));
        }
        connection
            .prepare_cached(
                "SELECT next_seq, next_row, next_items,
                    EXISTS (SELECT 1 FROM ahead a WHERE a.exporter = c.exporter)
             FROM cursors c WHERE exporter = ?1",
            )?
            .query_row([exporter], |row| {
                Ok(CursorUpdate {
                    next: Position {
                        seq: Seq(row.get(0)?),
                        row: row.get(1)?,
                        items: row.get(2)?,
                    },
                    items_before: None,
                    has_ahead: row.get(3)?,
                    delivered: 0,
                    filtered: 0,
                    dead_lettered: 0,
                })
            })
            .optional()
    }

    pub(super) fn set(&mut self, exporter: &str, update: CursorUpdate) {
        self.by_exporter.insert(exporter.to_owned(), update);
    }

    /// Writes the changed cursors to the file, and forgets them.
    pub(super) fn write(&mut self, connection: &Connection, now_ms: i64) -> rusqlite::Result<()> {
        for (exporter, update) in self.by_exporter.drain() {
            connection
                .prepare_cached(
                    "UPDATE cursors SET next_seq = ?2, next_row = ?3, next_items = ?4,
                     delivered = delivered + ?5, filtered = filtered + ?6, dead_lettered = dead_lettered + ?7,
                     last_success_ms = iif(?5 > 0, ?8, last_success_ms)
                 WHERE exporter = ?1",
                )?
                .execute(params![
                    exporter,
                    update.next.seq.0,
                    update.next.row,
                    update.next.items,
                    update.delivered,
                    update.filtered,
                    update.dead_lettered,
                    now_ms,
                ])?;
        }
        Ok(())
    }
}
