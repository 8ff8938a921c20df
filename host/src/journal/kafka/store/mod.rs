//! The state of a journal in PostgreSQL: everything but its records.
//!
//! Promises: a change is made as a whole or not at all, and only while the term of its store is that of the
//! journal, so that a former owner changes nothing, whenever its statements arrive.

mod cursors;
mod dead_letters;
mod keys;
mod summary;
mod windows;

use std::collections::HashMap;

use delfin_plugin_api::postgres::tokio_postgres::{Client, Row, Transaction, types::ToSql};
use uuid::Uuid;

use super::cursors::CursorTable;
use super::entry::Term;
use super::index::{JournalHead, JournalStart};
use crate::batch::Seq;
use crate::journal::record::CollectedWindow;

pub(super) use crate::postgres::StoreError;
pub(super) use dead_letters::TrimLimits;
pub(super) use keys::KeyReceipt;
pub(crate) use summary::{CursorSummary, summarize_cursors};

/// The state of a journal, when a term begins.
pub(super) struct LoadedState {
    pub(super) term: Term,
    pub(super) start: JournalStart,
    /// The newest record that was noted.
    pub(super) head: Seq,
    pub(super) keys_seq: Seq,
    pub(super) last_dead_letter: u64,
    pub(super) cursors: CursorTable,
    /// The last window of each storage, as far as its record was deleted.
    pub(super) windows: HashMap<String, CollectedWindow>,
}

/// A connection of the owner.
pub(super) struct StateStore {
    client: Client,
    journal: String,
    term: Term,
}

/// A change that is not durable yet.
pub(super) struct StoreTransaction<'a> {
    tx: Transaction<'a>,
    journal: &'a str,
}

/// A connection for reads.
pub(super) struct StateReader {
    client: Client,
    journal: String,
}

impl StateStore {
    /// Begins a term of an epoch, and reads the state. Changes of earlier terms are refused from now on.
    pub(super) async fn claim(
        mut client: Client,
        journal: &str,
        epoch: i64,
    ) -> Result<(Self, LoadedState), StoreError> {
        const CLAIM: &str = "INSERT INTO delfin_journals AS j (name, epoch, session) VALUES ($1, $2, 1)
             ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch,
               session = CASE WHEN j.epoch = excluded.epoch THEN j.session + 1 ELSE 1 END
             WHERE j.epoch <= excluded.epoch
             RETURNING session, first_seq, first_offset, items_before, bytes_before, keys_seq, last_dead_letter,
               fence_epoch, fence_session, head_seq";
        let tx = client.transaction().await?;
        let Some(row) = tx.query_opt(CLAIM, &[&journal, &epoch]).await? else {
            return Err(StoreError::Superseded);
        };
        let term = Term {
            epoch,
            session: row.get(0),
        };
        let cursors = cursors::load(&tx, journal).await?;
        let windows = windows::load(&tx, journal).await?;
        tx.commit().await?;
        let state = LoadedState {
            term,
            start: JournalStart {
                seq: Seq(number(&row, 1)),
                offset: row.get(2),
                fence: fence(&row),
                items: number(&row, 3),
                bytes: number(&row, 4),
            },
            head: Seq(number(&row, 9)),
            keys_seq: Seq(number(&row, 5)),
            last_dead_letter: number(&row, 6),
            cursors,
            windows,
        };
        let store = Self {
            client,
            journal: journal.to_owned(),
            term,
        };
        Ok((store, state))
    }

    /// Begins the next term of the same epoch.
    pub(super) async fn next_term(&mut self) -> Result<Term, StoreError> {
        const NEXT: &str = "UPDATE delfin_journals SET session = session + 1
             WHERE name = $1 AND epoch = $2 AND session = $3 RETURNING session";
        let Term { epoch, session } = self.term;
        let row = self
            .client
            .query_opt(NEXT, &[&self.journal, &epoch, &session])
            .await?;
        let row = row.ok_or(StoreError::Superseded)?;
        self.term.session = row.get(0);
        Ok(self.term)
    }

    /// Begins a change, and notes the newest record. The term stays that of this store until the change has ended.
    pub(super) async fn begin(
        &mut self,
        head: JournalHead,
    ) -> Result<StoreTransaction<'_>, StoreError> {
        const FENCE: &str = "UPDATE delfin_journals SET head_seq = $4, head_items = $5
             WHERE name = $1 AND epoch = $2 AND session = $3";
        let Term { epoch, session } = self.term;
        let tx = self.client.transaction().await?;
        let values: [&(dyn ToSql + Sync); 5] = [
            &self.journal,
            &epoch,
            &session,
            &bigint(head.seq.0),
            &bigint(head.items),
        ];
        let owned = tx.execute(FENCE, &values).await?;
        if owned == 0 {
            return Err(StoreError::Superseded);
        }
        Ok(StoreTransaction {
            tx,
            journal: &self.journal,
        })
    }
}

impl StoreTransaction<'_> {
    pub(super) async fn set_start(&self, start: JournalStart) -> Result<(), StoreError> {
        const SET: &str =
            "UPDATE delfin_journals SET first_seq = $2, first_offset = $3, items_before = $4,
             bytes_before = $5, fence_epoch = $6, fence_session = $7 WHERE name = $1";
        let values: [&(dyn ToSql + Sync); 7] = [
            &self.journal,
            &bigint(start.seq.0),
            &start.offset,
            &bigint(start.items),
            &bigint(start.bytes),
            &start.fence.map(|fence| fence.epoch),
            &start.fence.map(|fence| fence.session),
        ];
        self.tx.execute(SET, &values).await?;
        Ok(())
    }

    /// Deletes idempotency keys and windows of batches that were accepted in these times, whose ends are excluded.
    pub(super) async fn forget(
        &self,
        keys: &[[i64; 2]],
        windows: &[[i64; 2]],
    ) -> Result<(), StoreError> {
        const KEYS: &str = "DELETE FROM delfin_idempotency_keys
             WHERE journal = $1 AND accepted_ms >= $2 AND accepted_ms < $3";
        const WINDOWS: &str = "DELETE FROM delfin_collected_windows
             WHERE journal = $1 AND accepted_ms >= $2 AND accepted_ms < $3";
        for (delete, times) in [(KEYS, keys), (WINDOWS, windows)] {
            for [from, until] in times {
                self.tx
                    .execute(delete, &[&self.journal, from, until])
                    .await?;
            }
        }
        Ok(())
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        Ok(self.tx.commit().await?)
    }
}

impl StateReader {
    pub(super) fn new(client: Client, journal: &str) -> Self {
        Self {
            client,
            journal: journal.to_owned(),
        }
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

/// A count as the database has it, whose numbers have a sign.
fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(row: &Row, column: usize) -> u64 {
    u64::try_from(row.get::<_, i64>(column)).unwrap_or(0)
}

fn fence(row: &Row) -> Option<Term> {
    Some(Term {
        epoch: row.get::<_, Option<i64>>(7)?,
        session: row.get::<_, Option<i64>>(8)?,
    })
}

fn batch_id(row: &Row, column: usize) -> Uuid {
    Uuid::from_slice(row.get(column)).unwrap_or_default()
}
