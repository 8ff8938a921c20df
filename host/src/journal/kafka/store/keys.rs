//! Idempotency keys in the database. Those of the newest records are in memory until the next change.

use delfin_plugin_api::postgres::tokio_postgres::types::ToSql;

use super::{StateReader, StoreError, StoreTransaction, batch_id, bigint, number};
use crate::batch::Seq;
use crate::journal::Receipt;
use crate::postgres::text;

/// What the first append with a key got, and when its batch was accepted.
#[derive(Clone, Debug)]
pub(in crate::journal::kafka) struct KeyReceipt {
    pub(in crate::journal::kafka) key: String,
    pub(in crate::journal::kafka) receipt: Receipt,
    /// Milliseconds since the Unix epoch.
    pub(in crate::journal::kafka) accepted_ms: i64,
}

impl StoreTransaction<'_> {
    /// Adds the keys of the records before `keys_seq`.
    pub(in crate::journal::kafka) async fn add_keys(
        &self,
        keys: &[KeyReceipt],
        keys_seq: Seq,
    ) -> Result<(), StoreError> {
        const ADD: &str = "INSERT INTO delfin_idempotency_keys
             SELECT $1, * FROM unnest($2::text[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[])
             ON CONFLICT (journal, key) DO UPDATE SET batch_id = excluded.batch_id, seq = excluded.seq,
               items = excluded.items, accepted_ms = excluded.accepted_ms";
        const SET: &str = "UPDATE delfin_journals SET keys_seq = $2 WHERE name = $1";
        let names: Vec<String> = keys.iter().map(|key| text(&key.key)).collect();
        let ids: Vec<&[u8]> = keys
            .iter()
            .map(|key| &key.receipt.batch_id.as_bytes()[..])
            .collect();
        let seqs: Vec<i64> = keys.iter().map(|key| bigint(key.receipt.seq.0)).collect();
        let items: Vec<i64> = keys.iter().map(|key| bigint(key.receipt.items)).collect();
        let accepted: Vec<i64> = keys.iter().map(|key| key.accepted_ms).collect();
        let values: [&(dyn ToSql + Sync); 6] =
            [&self.journal, &names, &ids, &seqs, &items, &accepted];
        self.tx.execute(ADD, &values).await?;
        self.tx
            .execute(SET, &[&self.journal, &bigint(keys_seq.0)])
            .await?;
        Ok(())
    }
}

impl StateReader {
    /// The receipts of these keys, as far as they are known.
    pub(in crate::journal::kafka) async fn find_keys(
        &self,
        keys: &[String],
    ) -> Result<Vec<KeyReceipt>, StoreError> {
        const FIND: &str =
            "SELECT key, batch_id, seq, items, accepted_ms FROM delfin_idempotency_keys
             WHERE journal = $1 AND key = ANY($2)";
        let keys: Vec<String> = keys.iter().map(|key| text(key)).collect();
        let rows = self.client.query(FIND, &[&self.journal, &keys]).await?;
        let found = rows.iter().map(|row| KeyReceipt {
            key: row.get(0),
            receipt: Receipt {
                seq: Seq(number(row, 2)),
                batch_id: batch_id(row, 1),
                items: number(row, 3),
                repeated: true,
            },
            accepted_ms: row.get(4),
        });
        Ok(found.collect())
    }
}
