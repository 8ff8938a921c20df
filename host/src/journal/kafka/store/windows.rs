//! The last window of each storage in the database, once the record of the window is deleted.

use std::collections::HashMap;

use delfin_plugin_api::postgres::tokio_postgres::{Transaction, types::ToSql};

use super::{StoreError, StoreTransaction, batch_id, bigint, number};
use crate::batch::Seq;
use crate::journal::Receipt;
use crate::journal::record::CollectedWindow;
use crate::postgres::text;

/// The windows of a journal, by storage id.
pub(super) async fn load(
    tx: &Transaction<'_>,
    journal: &str,
) -> Result<HashMap<String, CollectedWindow>, StoreError> {
    const LOAD: &str = "SELECT storage_id, until_ms, batch_id, seq, items, accepted_ms
         FROM delfin_collected_windows WHERE journal = $1";
    let rows = tx.query(LOAD, &[&journal]).await?;
    let windows = rows.iter().map(|row| {
        let window = CollectedWindow {
            storage_id: row.get(0),
            until_ms: row.get(1),
            receipt: Receipt {
                batch_id: batch_id(row, 2),
                seq: Seq(number(row, 3)),
                items: number(row, 4),
                repeated: true,
            },
            accepted_ms: row.get(5),
        };
        (window.storage_id.clone(), window)
    });
    Ok(windows.collect())
}

impl StoreTransaction<'_> {
    /// Notes windows, in place of earlier ones of their storages.
    pub(in crate::journal::kafka) async fn note_windows(
        &self,
        windows: &[CollectedWindow],
    ) -> Result<(), StoreError> {
        const NOTE: &str = "INSERT INTO delfin_collected_windows
             SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bigint[])
             ON CONFLICT (journal, storage_id) DO UPDATE SET until_ms = excluded.until_ms,
               batch_id = excluded.batch_id, seq = excluded.seq, items = excluded.items,
               accepted_ms = excluded.accepted_ms";
        let storages: Vec<String> = windows.iter().map(|one| text(&one.storage_id)).collect();
        let ends: Vec<i64> = windows.iter().map(|one| one.until_ms).collect();
        let receipts = || windows.iter().map(|one| &one.receipt);
        let ids: Vec<&[u8]> = receipts().map(|one| &one.batch_id.as_bytes()[..]).collect();
        let seqs: Vec<i64> = receipts().map(|one| bigint(one.seq.0)).collect();
        let items: Vec<i64> = receipts().map(|one| bigint(one.items)).collect();
        let accepted: Vec<i64> = windows.iter().map(|one| one.accepted_ms).collect();
        let values: [&(dyn ToSql + Sync); 7] = [
            &self.journal,
            &storages,
            &ends,
            &ids,
            &seqs,
            &items,
            &accepted,
        ];
        self.tx.execute(NOTE, &values).await?;
        Ok(())
    }
}
