//! Cursors in the database: a row each.

use std::collections::BTreeMap;

use delfin_plugin_api::postgres::tokio_postgres::{Row, Transaction, types::ToSql};

use super::{StoreError, StoreTransaction, bigint, number};
use crate::batch::Seq;
use crate::journal::kafka::cursors::{CursorState, CursorTable};
use crate::journal::{Cursor, DeadLetterId, Position, RowSpan};
use crate::postgres::text;

/// The numbers of a span in the column `ahead`.
const SPAN: usize = 4;

/// All cursors of a journal.
pub(super) async fn load(tx: &Transaction<'_>, journal: &str) -> Result<CursorTable, StoreError> {
    const CURSORS: &str = "SELECT exporter, start_seq, start_items, replayed_items, replay_end, next_seq, next_row,
           next_items, delivered, dead_lettered, filtered, dropped_limits, dropped_items, ahead, created_ms,
           unused_since_ms, last_success_ms, last_error, last_error_ms
         FROM delfin_cursors WHERE journal = $1";
    const REPLAYING: &str = "SELECT exporter, id, items FROM delfin_dead_letters
         WHERE journal = $1 AND replayed_ms IS NOT NULL";
    let rows = tx.query(CURSORS, &[&journal]).await?;
    let states = rows.iter().map(|row| (row.get(0), state(row)));
    let mut cursors = CursorTable {
        by_exporter: states.collect(),
    };
    for row in tx.query(REPLAYING, &[&journal]).await? {
        if let Some(state) = cursors.by_exporter.get_mut(row.get::<_, &str>(0)) {
            let id = DeadLetterId(number(&row, 1));
            state.replaying.insert(id, number(&row, 2));
        }
    }
    Ok(cursors)
}

impl StoreTransaction<'_> {
    pub(in crate::journal::kafka) async fn write_cursor(
        &self,
        state: &CursorState,
    ) -> Result<(), StoreError> {
        const WRITE: &str = "INSERT INTO delfin_cursors VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
               $13, $14, $15, $16, $17, $18, $19, $20)
             ON CONFLICT (journal, exporter) DO UPDATE SET start_seq = $3, start_items = $4, replayed_items = $5,
               replay_end = $6, next_seq = $7, next_row = $8, next_items = $9, delivered = $10,
               dead_lettered = $11, filtered = $12, dropped_limits = $13, dropped_items = $14, ahead = $15,
               created_ms = $16, unused_since_ms = $17, last_success_ms = $18, last_error = $19,
               last_error_ms = $20";
        let cursor = &state.cursor;
        let ahead = cursor.ahead.iter();
        let ahead: Vec<i64> = ahead
            .flat_map(|span| [span.seq.0, span.first_row, span.rows, span.items].map(bigint))
            .collect();
        let limits: Vec<String> = state.dropped.keys().map(|limit| text(limit)).collect();
        let dropped: Vec<i64> = state.dropped.values().copied().map(bigint).collect();
        let replay_end = cursor.replay_end.map(|end| bigint(end.0));
        let values: [&(dyn ToSql + Sync); 20] = [
            &self.journal,
            &cursor.exporter,
            &bigint(state.start_seq.0),
            &bigint(state.start_items),
            &bigint(state.replayed_items),
            &replay_end,
            &bigint(cursor.next.seq.0),
            &bigint(cursor.next.row),
            &bigint(cursor.next.items),
            &bigint(state.delivered),
            &bigint(state.dead_lettered),
            &bigint(state.filtered),
            &limits,
            &dropped,
            &ahead,
            &cursor.created_ms,
            &cursor.unused_since_ms,
            &cursor.last_success_ms,
            &cursor.last_error.as_deref().map(text),
            &cursor.last_error_ms,
        ];
        self.tx.execute(WRITE, &values).await?;
        Ok(())
    }

    pub(in crate::journal::kafka) async fn delete_cursor(
        &self,
        exporter: &str,
    ) -> Result<(), StoreError> {
        const DELETE: &str = "DELETE FROM delfin_cursors WHERE journal = $1 AND exporter = $2";
        self.tx.execute(DELETE, &[&self.journal, &exporter]).await?;
        Ok(())
    }
}

fn state(row: &Row) -> CursorState {
    let (limits, dropped): (Vec<String>, Vec<i64>) = (row.get(11), row.get(12));
    let dropped = dropped.into_iter().map(unsigned);
    let dropped: BTreeMap<String, u64> = limits.into_iter().zip(dropped).collect();
    let ahead: Vec<i64> = row.get(13);
    let (spans, _) = ahead.as_chunks::<SPAN>();
    let spans = spans.iter().map(|span| {
        let [seq, first_row, rows, items] = span.map(unsigned);
        RowSpan {
            seq: Seq(seq),
            first_row,
            rows,
            items,
        }
    });
    let replay_end: Option<i64> = row.get(4);
    CursorState {
        cursor: Cursor {
            exporter: row.get(0),
            next: Position {
                seq: Seq(number(row, 5)),
                row: number(row, 6),
                items: number(row, 7),
            },
            created_ms: row.get(14),
            last_success_ms: row.get(16),
            last_error: row.get(17),
            last_error_ms: row.get(18),
            ahead: spans.collect(),
            replay_end: replay_end.map(|end| Seq(unsigned(end))),
            unused_since_ms: row.get(15),
        },
        start_seq: Seq(number(row, 1)),
        start_items: number(row, 2),
        replayed_items: number(row, 3),
        delivered: number(row, 8),
        dead_lettered: number(row, 9),
        filtered: number(row, 10),
        dropped,
        replaying: BTreeMap::new(),
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
