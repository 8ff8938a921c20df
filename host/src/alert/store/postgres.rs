//! The table in the database of a cluster.
//!
//! Promises: a write is one transaction of the owner of the state, so that a former owner changes nothing.

use std::sync::Arc;

use delfin_plugin_api::postgres::tokio_postgres::{Client, Row, types::ToSql};
use sha2::{Digest, Sha256};

use super::{
    super::{
        identity::AlertIdentity,
        table::TableChanges,
        tracked::{AlertEnd, TrackedAlert},
    },
    AlertStore, AlertStoreError, StoredTable,
};
use crate::{
    batch::Seq,
    postgres::{FencedDatabase, StoreError},
};

/// The table of a lease.
pub(in crate::alert) struct PostgresAlertStore(Arc<FencedDatabase>);

/// Alerts to write, a list for each column.
#[derive(Default)]
struct SavedAlerts {
    ids: Vec<Vec<u8>>,
    identities: Vec<String>,
    occur_times: Vec<i64>,
    texts: Vec<String>,
    first_seen_ms: Vec<i64>,
    last_seen_ms: Vec<i64>,
    last_seqs: Vec<i64>,
    is_ingested: Vec<bool>,
    ended_times: Vec<Option<i64>>,
    ended_ms: Vec<Option<i64>>,
}

impl PostgresAlertStore {
    pub(in crate::alert) fn open(
        database: Arc<FencedDatabase>,
    ) -> Result<(Self, StoredTable), AlertStoreError> {
        let stored = database.read(async |client, lease| load(client, lease).await);
        Ok((Self(database), stored?))
    }
}

impl AlertStore for PostgresAlertStore {
    fn save(&mut self, next: Seq, changes: &TableChanges) -> Result<(), AlertStoreError> {
        const NEXT: &str = "UPDATE delfin_states SET alerts_next_seq = $2 WHERE lease = $1";
        const REMOVE: &str = "DELETE FROM delfin_active_alerts WHERE lease = $1 AND id = ANY($2)";
        let removed = changes.removed.iter();
        let removed: Vec<Vec<u8>> = removed.map(|alert| id(&identity_text(alert))).collect();
        let mut updated = SavedAlerts::default();
        for alert in &changes.updated {
            updated.add(alert)?;
        }
        let saved = self.0.change(async move |tx, lease| {
            if !updated.ids.is_empty() {
                updated.write(tx.client(), lease).await?;
            }
            if !removed.is_empty() {
                tx.execute(REMOVE, &[&lease, &removed]).await?;
            }
            tx.execute(NEXT, &[&lease, &next.0.cast_signed()]).await?;
            Ok(())
        });
        Ok(saved?)
    }
}

impl SavedAlerts {
    fn add(&mut self, alert: &TrackedAlert) -> Result<(), AlertStoreError> {
        let identity = identity_text(&alert.identity);
        let texts = serde_json::to_string(&alert.texts);
        self.texts
            .push(texts.map_err(|error| AlertStoreError::Cluster {
                reason: error.to_string(),
            })?);
        self.ids.push(id(&identity));
        self.identities.push(identity);
        self.occur_times.push(alert.occur_time);
        self.first_seen_ms.push(alert.first_seen_ms);
        self.last_seen_ms.push(alert.last_seen_ms);
        self.last_seqs.push(alert.last_seq.0.cast_signed());
        self.is_ingested.push(alert.is_ingested);
        self.ended_times.push(alert.end.map(|end| end.occur_time));
        self.ended_ms.push(alert.end.map(|end| end.seen_ms));
        Ok(())
    }

    async fn write(&self, client: &Client, lease: &str) -> Result<(), StoreError> {
        const WRITE: &str = "INSERT INTO delfin_active_alerts
             SELECT $1, * FROM unnest($2::bytea[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[],
               $8::bigint[], $9::boolean[], $10::bigint[], $11::bigint[])
             ON CONFLICT (lease, id) DO UPDATE SET occur_time = excluded.occur_time, texts = excluded.texts,
               first_seen_ms = excluded.first_seen_ms, last_seen_ms = excluded.last_seen_ms,
               last_seq = excluded.last_seq, is_ingested = excluded.is_ingested,
               ended_time = excluded.ended_time, ended_ms = excluded.ended_ms";
        let values: [&(dyn ToSql + Sync); 11] = [
            &lease,
            &self.ids,
            &self.identities,
            &self.occur_times,
            &self.texts,
            &self.first_seen_ms,
            &self.last_seen_ms,
            &self.last_seqs,
            &self.is_ingested,
            &self.ended_times,
            &self.ended_ms,
        ];
        client.execute(WRITE, &values).await?;
        Ok(())
    }
}

async fn load(client: &Client, lease: &str) -> Result<StoredTable, StoreError> {
    const NEXT: &str = "SELECT alerts_next_seq FROM delfin_states WHERE lease = $1";
    const ALERTS: &str =
        "SELECT identity, occur_time, texts, first_seen_ms, last_seen_ms, last_seq, is_ingested,
           ended_time, ended_ms
         FROM delfin_active_alerts WHERE lease = $1";
    let next = client.query_one(NEXT, &[&lease]).await?;
    let next: Option<i64> = next.get(0);
    let rows = client.query(ALERTS, &[&lease]).await?;
    Ok(StoredTable {
        next: next.map(|next| Seq(next.cast_unsigned())),
        alerts: rows.iter().map(alert).collect::<Result<_, _>>()?,
    })
}

fn alert(row: &Row) -> Result<TrackedAlert, StoreError> {
    let damaged = |_| {
        let damaged = "the table of active alerts in the database of the cluster has a row that is damaged (restore the database)";
        StoreError::Content(damaged.to_owned())
    };
    let identity: [String; 5] = serde_json::from_str(row.get(0)).map_err(damaged)?;
    let last_seq: i64 = row.get(5);
    let end: (Option<i64>, Option<i64>) = (row.get(7), row.get(8));
    Ok(TrackedAlert {
        identity: Arc::new(AlertIdentity::new(identity.each_ref().map(String::as_str))),
        occur_time: row.get(1),
        texts: serde_json::from_str(row.get(2)).map_err(damaged)?,
        first_seen_ms: row.get(3),
        last_seen_ms: row.get(4),
        last_seq: Seq(last_seq.cast_unsigned()),
        is_ingested: row.get(6),
        end: end.0.zip(end.1).map(|(occur_time, seen_ms)| AlertEnd {
            occur_time,
            seen_ms,
        }),
    })
}

/// The texts of an identity as JSON, which has escapes for what the database does not take.
fn identity_text(identity: &AlertIdentity) -> String {
    serde_json::Value::from(identity.texts().to_vec()).to_string()
}

/// The key of a row: identities can be longer than a key may be.
fn id(identity: &str) -> Vec<u8> {
    Sha256::digest(identity).to_vec()
}

#[cfg(test)]
mod tests {
    use super::{
        super::conformance::{OpenStore, alert_store_conformance},
        *,
    };
    use crate::postgres::testing::{self, TestLease};

    fn new_store() -> OpenStore {
        let lease = TestLease::new().unwrap();
        Box::new(move || {
            let database = Arc::new(lease.owner(1).unwrap());
            let (store, stored) = PostgresAlertStore::open(database).unwrap();
            (Box::new(store), stored)
        })
    }

    alert_store_conformance!(new_store, testing::port().is_some());

    #[test]
    fn a_former_owner_saves_nothing() {
        let Some(lease) = TestLease::new() else {
            return;
        };
        let open = |epoch| PostgresAlertStore::open(Arc::new(lease.owner(epoch).unwrap())).unwrap();
        let (mut former, _) = open(1);
        former.save(Seq(2), &TableChanges::default()).unwrap();
        let (_owner, stored) = open(2);
        assert_eq!(stored.next, Some(Seq(2)));
        let late = former.save(Seq(9), &TableChanges::default()).unwrap_err();
        assert!(
            late.to_string().contains("a member with a later epoch"),
            "{late}"
        );
        assert_eq!(open(2).1.next, Some(Seq(2)));
    }
}
