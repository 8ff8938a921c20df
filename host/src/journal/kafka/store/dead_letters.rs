//! Dead letters in the database.

use delfin_plugin_api::Origin;
use delfin_plugin_api::postgres::tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{StateReader, StoreError, StoreTransaction, batch_id, bigint, number};
use crate::batch::{Header, Seq};
use crate::journal::{
    DeadLetter, DeadLetterCommit, DeadLetterCount, DeadLetterDisposition, DeadLetterFilter,
    DeadLetterId, StoredDeadLetter,
};
use crate::postgres::text;

/// The columns that [`dead_letter`] reads. A payload follows, or an empty one in lists.
const COLUMNS: &str = "id, exporter, plugin_version, batch_id, seq, first_row, rows, items, origin, storage_id, \
                       accepted_ms, code, reason, attempts, first_ms, last_ms, bytes, replayed_ms";

/// The condition of a filter. [`FilterValues`] has the values of `$1` to `$6`, which are the journal, the fields
/// and the limit.
const MATCHES: &str = "journal = $1 AND ($2::text IS NULL OR exporter = $2)
     AND ($3::bigint IS NULL OR last_ms >= $3)
     AND ($4::text IS NULL OR strpos(lower(reason), lower($4)) > 0)
     AND ($5::bigint[] IS NULL OR id = ANY($5))";

/// A dead letter whose replay begins.
pub(in crate::journal::kafka) struct StartedReplay {
    pub(in crate::journal::kafka) id: DeadLetterId,
    pub(in crate::journal::kafka) exporter: String,
    pub(in crate::journal::kafka) items: u64,
    pub(in crate::journal::kafka) bytes: u64,
}

/// What is trimmed: all but the newest up to a size, and those of some times, whose ends are excluded.
pub(in crate::journal::kafka) struct TrimLimits {
    pub(in crate::journal::kafka) max_bytes: u64,
    pub(in crate::journal::kafka) too_old: Vec<[i64; 2]>,
}

struct FilterValues<'a> {
    journal: &'a str,
    exporter: Option<&'a str>,
    since_ms: Option<i64>,
    reason: Option<String>,
    ids: Option<Vec<i64>>,
    limit: Option<i64>,
}

impl<'a> FilterValues<'a> {
    fn new(journal: &'a str, which: &'a DeadLetterFilter) -> Self {
        let ids: Vec<i64> = which.ids.iter().map(|id| bigint(id.0)).collect();
        Self {
            journal,
            exporter: which.exporter.as_deref(),
            since_ms: which.since_ms,
            reason: which.reason.as_deref().map(text),
            ids: (!ids.is_empty()).then_some(ids),
            limit: which.limit.map(bigint),
        }
    }

    fn values(&self) -> [&(dyn ToSql + Sync); 6] {
        [
            &self.journal,
            &self.exporter,
            &self.since_ms,
            &self.reason,
            &self.ids,
            &self.limit,
        ]
    }
}

impl StoreTransaction<'_> {
    pub(in crate::journal::kafka) async fn add_dead_letter(
        &self,
        id: DeadLetterId,
        exporter: &str,
        dead_letter: &DeadLetter,
    ) -> Result<(), StoreError> {
        const ADD: &str = "INSERT INTO delfin_dead_letters VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
             $13, $14, $15, $16, $17, NULL, $18, $19)";
        let header = &dead_letter.header;
        let values: [&(dyn ToSql + Sync); 19] = [
            &self.journal,
            &bigint(id.0),
            &exporter,
            &text(&dead_letter.plugin_version),
            &&header.batch_id.as_bytes()[..],
            &bigint(dead_letter.seq.0),
            &bigint(dead_letter.first_row),
            &bigint(dead_letter.rows),
            &bigint(header.items),
            &header.origin.as_str(),
            &header.storage_id.as_deref().map(text),
            &header.accepted_ms,
            &i64::from(dead_letter.code),
            &text(&dead_letter.reason),
            &bigint(dead_letter.attempts),
            &dead_letter.first_ms,
            &dead_letter.last_ms,
            &bigint(dead_letter.payload.len() as u64),
            &dead_letter.payload,
        ];
        self.tx.execute(ADD, &values).await?;
        Ok(())
    }

    /// Marks the matching dead letters that are not in replay yet.
    pub(in crate::journal::kafka) async fn start_replay(
        &self,
        which: &DeadLetterFilter,
        now_ms: i64,
    ) -> Result<Vec<StartedReplay>, StoreError> {
        let start = format!(
            "UPDATE delfin_dead_letters SET replayed_ms = $7 WHERE journal = $1 AND id IN (
                 SELECT id FROM delfin_dead_letters WHERE replayed_ms IS NULL AND {MATCHES} ORDER BY id LIMIT $6
             ) RETURNING id, exporter, items, bytes"
        );
        let filter = FilterValues::new(self.journal, which);
        let mut values = filter.values().to_vec();
        values.push(&now_ms);
        let rows = self.tx.query(&start, &values).await?;
        let replayed = rows.iter().map(|row| StartedReplay {
            id: DeadLetterId(number(row, 0)),
            exporter: row.get(1),
            items: number(row, 2),
            bytes: number(row, 3),
        });
        Ok(replayed.collect())
    }

    /// Writes how the replay of a dead letter ended.
    pub(in crate::journal::kafka) async fn end_replay(
        &self,
        commit: &DeadLetterCommit,
    ) -> Result<(), StoreError> {
        const DELETE: &str = "DELETE FROM delfin_dead_letters WHERE journal = $1 AND id = $2";
        const UPDATE: &str =
            "UPDATE delfin_dead_letters SET code = $3, reason = $4, plugin_version = $5,
             attempts = $6, last_ms = $7, replayed_ms = NULL WHERE journal = $1 AND id = $2";
        let id = bigint(commit.id.0);
        match &commit.disposition {
            DeadLetterDisposition::Delivered => {
                self.tx.execute(DELETE, &[&self.journal, &id]).await?;
            }
            DeadLetterDisposition::DeadLettered {
                code,
                reason,
                plugin_version,
                attempts,
                last_ms,
            } => {
                let values: [&(dyn ToSql + Sync); 7] = [
                    &self.journal,
                    &id,
                    &i64::from(*code),
                    &text(reason),
                    &text(plugin_version),
                    &bigint(*attempts),
                    last_ms,
                ];
                self.tx.execute(UPDATE, &values).await?;
            }
        }
        Ok(())
    }

    /// Deletes the matching dead letters that are not in replay.
    pub(in crate::journal::kafka) async fn purge(
        &self,
        which: &DeadLetterFilter,
    ) -> Result<DeadLetterCount, StoreError> {
        let delete = format!(
            "DELETE FROM delfin_dead_letters WHERE journal = $1 AND id IN (
                 SELECT id FROM delfin_dead_letters WHERE replayed_ms IS NULL AND {MATCHES} ORDER BY id LIMIT $6
             ) RETURNING items, bytes"
        );
        let filter = FilterValues::new(self.journal, which);
        let rows = self.tx.query(&delete, &filter.values()).await?;
        Ok(count(&rows))
    }

    /// Deletes the dead letters of an exporter beyond its limits. Those in replay count in the size, and stay.
    pub(in crate::journal::kafka) async fn trim(
        &self,
        exporter: &str,
        limits: &TrimLimits,
    ) -> Result<DeadLetterCount, StoreError> {
        const TRIM: &str = "DELETE FROM delfin_dead_letters WHERE journal = $1 AND id IN (
               SELECT id FROM (
                 SELECT id, replayed_ms, last_ms, sum(bytes) OVER (ORDER BY id DESC) AS bytes_from
                 FROM delfin_dead_letters WHERE journal = $1 AND exporter = $2
               ) AS of_exporter
               WHERE replayed_ms IS NULL AND (bytes_from > $3::bigint OR EXISTS (
                 SELECT FROM unnest($4::bigint[], $5::bigint[]) AS age (first_ms, end_ms)
                 WHERE last_ms >= age.first_ms AND last_ms < age.end_ms))
             ) RETURNING items, bytes";
        let (from, until): (Vec<i64>, Vec<i64>) = limits
            .too_old
            .iter()
            .map(|[from, until]| (from, until))
            .unzip();
        let values: [&(dyn ToSql + Sync); 5] = [
            &self.journal,
            &exporter,
            &bigint(limits.max_bytes),
            &from,
            &until,
        ];
        Ok(count(&self.tx.query(TRIM, &values).await?))
    }

    /// Deletes all dead letters of an exporter.
    pub(in crate::journal::kafka) async fn delete_dead_letters(
        &self,
        exporter: &str,
    ) -> Result<(), StoreError> {
        const DELETE: &str = "DELETE FROM delfin_dead_letters WHERE journal = $1 AND exporter = $2";
        self.tx.execute(DELETE, &[&self.journal, &exporter]).await?;
        Ok(())
    }

    /// Gives the dead letters of an exporter to another one.
    pub(in crate::journal::kafka) async fn rename_dead_letters(
        &self,
        exporter: &str,
        to: &str,
    ) -> Result<(), StoreError> {
        const RENAME: &str =
            "UPDATE delfin_dead_letters SET exporter = $3 WHERE journal = $1 AND exporter = $2";
        self.tx
            .execute(RENAME, &[&self.journal, &exporter, &to])
            .await?;
        Ok(())
    }

    pub(in crate::journal::kafka) async fn set_last_dead_letter(
        &self,
        id: u64,
    ) -> Result<(), StoreError> {
        const SET: &str = "UPDATE delfin_journals SET last_dead_letter = $2 WHERE name = $1";
        self.tx.execute(SET, &[&self.journal, &bigint(id)]).await?;
        Ok(())
    }
}

impl StateReader {
    /// The matching dead letters, the oldest first, without their payloads.
    pub(in crate::journal::kafka) async fn dead_letters(
        &self,
        which: &DeadLetterFilter,
    ) -> Result<Vec<StoredDeadLetter>, StoreError> {
        let list = format!(
            "SELECT {COLUMNS}, ''::bytea FROM delfin_dead_letters WHERE {MATCHES} ORDER BY id LIMIT $6"
        );
        let filter = FilterValues::new(&self.journal, which);
        let rows = self.client.query(&list, &filter.values()).await?;
        Ok(rows.iter().map(dead_letter).collect())
    }

    /// How many dead letters match, without the limit.
    pub(in crate::journal::kafka) async fn count_dead_letters(
        &self,
        which: &DeadLetterFilter,
    ) -> Result<u64, StoreError> {
        let count = format!(
            "SELECT count(*) FROM (SELECT FROM delfin_dead_letters WHERE {MATCHES} LIMIT $6) AS matching"
        );
        let filter = FilterValues {
            limit: None,
            ..FilterValues::new(&self.journal, which)
        };
        let row = self.client.query_one(&count, &filter.values()).await?;
        Ok(number(&row, 0))
    }

    /// One dead letter, with its payload.
    pub(in crate::journal::kafka) async fn dead_letter(
        &self,
        id: DeadLetterId,
    ) -> Result<Option<StoredDeadLetter>, StoreError> {
        let get = format!(
            "SELECT {COLUMNS}, payload FROM delfin_dead_letters WHERE journal = $1 AND id = $2"
        );
        let row = self
            .client
            .query_opt(&get, &[&self.journal, &bigint(id.0)])
            .await?;
        Ok(row.as_ref().map(dead_letter))
    }

    /// The first dead letter of an exporter after an id that is in replay, with its payload.
    pub(in crate::journal::kafka) async fn next_in_replay(
        &self,
        exporter: &str,
        after: DeadLetterId,
    ) -> Result<Option<StoredDeadLetter>, StoreError> {
        let next = format!(
            "SELECT {COLUMNS}, payload FROM delfin_dead_letters
             WHERE journal = $1 AND exporter = $2 AND replayed_ms IS NOT NULL AND id > $3 ORDER BY id LIMIT 1"
        );
        let row = self
            .client
            .query_opt(&next, &[&self.journal, &exporter, &bigint(after.0)])
            .await?;
        Ok(row.as_ref().map(dead_letter))
    }

    pub(in crate::journal::kafka) async fn dead_letter_totals(
        &self,
        exporter: &str,
    ) -> Result<DeadLetterCount, StoreError> {
        const TOTALS: &str =
            "SELECT count(*), coalesce(sum(items), 0)::bigint, coalesce(sum(bytes), 0)::bigint
             FROM delfin_dead_letters WHERE journal = $1 AND exporter = $2";
        let row = self
            .client
            .query_one(TOTALS, &[&self.journal, &exporter])
            .await?;
        Ok(DeadLetterCount {
            dead_letters: number(&row, 0),
            items: number(&row, 1),
            bytes: number(&row, 2),
        })
    }

    /// Items in the dead letters of a batch, by exporter.
    pub(in crate::journal::kafka) async fn dead_items_of(
        &self,
        batch_id: Uuid,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        const OF_BATCH: &str = "SELECT exporter, sum(items)::bigint FROM delfin_dead_letters
             WHERE journal = $1 AND batch_id = $2 GROUP BY exporter";
        let id = &batch_id.as_bytes()[..];
        let rows = self.client.query(OF_BATCH, &[&self.journal, &id]).await?;
        Ok(rows
            .iter()
            .map(|row| (row.get(0), number(row, 1)))
            .collect())
    }
}

fn count(deleted: &[Row]) -> DeadLetterCount {
    let mut count = DeadLetterCount::default();
    for row in deleted {
        count.add(number(row, 0), number(row, 1));
    }
    count
}

fn dead_letter(row: &Row) -> StoredDeadLetter {
    StoredDeadLetter {
        id: DeadLetterId(number(row, 0)),
        exporter: row.get(1),
        dead_letter: DeadLetter {
            plugin_version: row.get(2),
            header: Header {
                batch_id: batch_id(row, 3),
                origin: Origin::from_name(row.get(8)),
                storage_id: row.get(9),
                complete: false,
                accepted_ms: row.get(10),
                items: number(row, 7),
            },
            seq: Seq(number(row, 4)),
            first_row: number(row, 5),
            rows: number(row, 6),
            code: u32::try_from(row.get::<_, i64>(11)).unwrap_or_default(),
            reason: row.get(12),
            attempts: number(row, 13),
            first_ms: row.get(14),
            last_ms: row.get(15),
            payload: row.get(18),
        },
        bytes: number(row, 16),
        replayed_ms: row.get(17),
    }
}
