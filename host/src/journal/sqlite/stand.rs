//! Where cursors stand while a transaction is open.
//!
//! Exporters settle batch after batch, many of them in one commit. Each cursor
//! is read once, moved in memory, and written before anything else looks at it.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::super::cursor::{Commit, Position};
use super::check::Fits;
use crate::batch::Seq;

/// A cursor, and what the commits of this transaction add to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stand {
    pub(super) next: Position,
    /// How many items were appended before `next`, once it has been asked.
    pub(super) items_before: Option<u64>,
    /// Whether there may be rows behind `next` that are settled.
    pub(super) has_ahead: bool,
    delivered: u64,
    filtered: u64,
    dead_lettered: u64,
}

/// The cursors that this transaction has read.
#[derive(Default)]
pub(super) struct Stands {
    of: HashMap<String, Stand>,
}

impl Stands {
    /// Where an exporter's cursor stands; nothing if it has none.
    pub(super) fn get(
        &mut self,
        tx: &Connection,
        exporter: &str,
    ) -> rusqlite::Result<Option<Stand>> {
        if let Some(stand) = self.of.get(exporter) {
            return Ok(Some(*stand));
        }
        tx.prepare_cached(
            "SELECT next_seq, next_row, next_items,
                    EXISTS (SELECT 1 FROM ahead a WHERE a.exporter = c.exporter)
             FROM cursors c WHERE exporter = ?1",
        )?
        .query_row([exporter], |row| {
            Ok(Stand {
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

    /// Moves a cursor by a commit that was found to fit.
    pub(super) fn advance(&mut self, exporter: &str, from: Stand, commit: &Commit, fits: &Fits) {
        let to = Stand {
            next: commit.through,
            items_before: Some(fits.items_before),
            has_ahead: from.has_ahead || !commit.ahead.is_empty(),
            delivered: from.delivered + commit.delivered + fits.replayed_delivered,
            filtered: from.filtered + commit.filtered,
            dead_lettered: from.dead_lettered + commit.dead_lettered() + fits.replayed_dead,
        };
        self.of.insert(exporter.to_owned(), to);
    }

    /// Writes where the cursors stand, and forgets them.
    pub(super) fn write(&mut self, tx: &Connection, now_ms: i64) -> rusqlite::Result<()> {
        for (exporter, stand) in self.of.drain() {
            tx.prepare_cached(
                "UPDATE cursors SET next_seq = ?2, next_row = ?3, next_items = ?4,
                     delivered = delivered + ?5, filtered = filtered + ?6, dead_lettered = dead_lettered + ?7,
                     last_success_ms = iif(?5 > 0, ?8, last_success_ms)
                 WHERE exporter = ?1",
            )?
            .execute(params![
                exporter,
                stand.next.seq.0,
                stand.next.row,
                stand.next.items,
                stand.delivered,
                stand.filtered,
                stand.dead_lettered,
                now_ms,
            ])?;
        }
        Ok(())
    }
}
