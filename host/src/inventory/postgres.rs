//! The inventory in the database of a cluster.
//!
//! Secrets are sealed before they get to the connection.

mod clusters;
mod moves;

use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use delfin_plugin_api::postgres::tokio_postgres::{Client, Row};
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub use self::clusters::StorageOfCluster;
pub(crate) use self::clusters::{cluster_of_storage, count_storages, list_storages_of_clusters};
use self::moves::key_proof;
use super::{
    Access, AlertSource, Inventory, PerformanceSchedule, Registration,
    error::{InventoryError, InventoryFault, InventoryOpenError, MoveError, RekeyError, json_text},
    key_place::KeyPlace,
    seal::Sealer,
    sealed::{SealedAlertSource, SealedRegistration, SealedText, SecretKind},
};
use crate::{
    clock::{from_millis, millis},
    collect::{StaticLabels, StorageInfo},
    postgres::{ClusterDatabase, FencedDatabase, SqlValue, StoreError, text},
};

/// An inventory of the owner of a state.
pub(super) struct PostgresInventory {
    database: Arc<FencedDatabase>,
    key: KeyPlace,
    /// Held while secrets are read or written, so that all have one key.
    sealer: Mutex<Sealer>,
}

impl PostgresInventory {
    /// Opens the inventory, and checks that the key opens all secrets.
    pub(super) fn open(
        database: Arc<FencedDatabase>,
        key: &KeyPlace,
    ) -> Result<Self, InventoryOpenError> {
        let texts = texts(&database)?;
        let sealer = key.open(&texts)?;
        check_texts(&texts, &sealer, key.path())?;
        let proof = key_proof(&sealer)?;
        database
            .execute(SET_KEY_PROOF, vec![Box::new(proof)])
            .map_err(InventoryError::from)?;
        Ok(Self {
            database,
            key: key.clone(),
            sealer: Mutex::new(sealer),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Sealer> {
        self.sealer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the rows of a query about a lease.
    fn rows<T: Send + 'static>(
        &self,
        query: &'static str,
        read: fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, InventoryError> {
        let found = self.database.read(async move |client, lease| {
            let rows = client.query(query, &[&lease]).await?;
            rows.iter().map(read).collect()
        });
        Ok(found?)
    }

    /// Makes a change about one storage: `$1` is the lease, `$2` the id, and the values follow. Returns whether it has changed a row.
    fn update(
        &self,
        id: Uuid,
        statement: &'static str,
        mut values: Vec<SqlValue>,
    ) -> Result<bool, InventoryError> {
        values.insert(0, Box::new(id.to_string()));
        Ok(self.database.execute(statement, values)? > 0)
    }

    fn seal_again(&self, old: &mut Sealer, new: Sealer) -> Result<usize, RekeyError> {
        let (from, to) = (old.clone(), new.clone());
        let proof = key_proof(&new)?;
        // A storage that another cluster moves here meanwhile is in it, or is refused because of the other key.
        let written = self.database.change(async move |tx, lease| {
            const ACCESS: &str =
                "UPDATE delfin_storages SET access = $3 WHERE lease = $1 AND id = $2";
            const SNMP: &str =
                "UPDATE delfin_alert_sources SET snmp = $3 WHERE lease = $1 AND storage_id = $2";
            let texts = read_texts(tx.client(), lease).await?;
            for text in &texts {
                let one = text.seal_again(&from, &to).map_err(content)?;
                let update = match one.kind {
                    SecretKind::Access => ACCESS,
                    SecretKind::Snmp => SNMP,
                };
                tx.execute(update, &[&lease, &one.id.to_string(), &one.text])
                    .await?;
            }
            tx.execute(SET_KEY_PROOF, &[&lease, &proof]).await?;
            Ok(texts.len())
        });
        let texts = written.map_err(InventoryError::from)?;
        *old = new;
        Ok(texts)
    }
}

/// All sealed texts of the owner.
fn texts(database: &FencedDatabase) -> Result<Vec<SealedText>, InventoryError> {
    Ok(database.read(async |client, lease| read_texts(client, lease).await)?)
}

/// Checks that the key in a file opens the secrets of a lease. Changes nothing.
///
/// # Errors
///
/// The reason, with the remedy.
pub(crate) async fn check_key(
    database: &ClusterDatabase,
    lease: &str,
    key_file: &Path,
) -> Result<(), String> {
    let texts = database.run(async |client| read_texts(client, lease).await);
    let texts = texts.await?;
    let checked = Sealer::read(key_file);
    let checked = checked.and_then(|sealer| check_texts(&texts, &sealer, key_file));
    checked.map_err(|error| error.to_string())
}

fn check_texts(
    texts: &[SealedText],
    sealer: &Sealer,
    key: &Path,
) -> Result<(), InventoryOpenError> {
    match texts.iter().find(|text| text.unseal(sealer).is_err()) {
        None => Ok(()),
        Some(text) => Err(InventoryOpenError::OtherKey {
            path: key.to_owned(),
            id: text.id,
        }),
    }
}

impl Inventory for PostgresInventory {
    fn storages(&self) -> Result<Vec<Registration>, InventoryError> {
        let sealer = self.lock();
        let stored = self.rows(LIST_STORAGES, registration)?.into_iter();
        stored.map(|one| sealer.registration(one)).collect()
    }

    fn add(&self, storage: &Registration) -> Result<(), InventoryError> {
        const ADD: &str = "INSERT INTO delfin_storages VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
        let sealer = self.lock();
        let values: Vec<SqlValue> = vec![
            Box::new(text(&storage.vendor)),
            Box::new(text(&storage.model)),
            Box::new(storage.storage_name.as_deref().map(text)),
            Box::new(json_text(&storage.info)?),
            Box::new(storage.schedule.enabled),
            Box::new(millis(storage.schedule.interval)),
            Box::new(storage.schedule.backfill),
            Box::new(storage.created_us),
            Box::new(storage.updated_us),
            Box::new(sealer.seal_access(storage.id, &storage.access)?),
            Box::new(json_text(&*storage.labels)?),
        ];
        self.update(storage.id, ADD, values).map(drop)
    }

    fn set_schedule(
        &self,
        id: Uuid,
        schedule: &PerformanceSchedule,
        updated_us: i64,
    ) -> Result<bool, InventoryError> {
        const SET: &str =
            "UPDATE delfin_storages SET perf_collection = $3, interval_ms = $4, is_historic = $5,
               updated_us = $6 WHERE lease = $1 AND id = $2";
        let values: Vec<SqlValue> = vec![
            Box::new(schedule.enabled),
            Box::new(millis(schedule.interval)),
            Box::new(schedule.backfill),
            Box::new(updated_us),
        ];
        self.update(id, SET, values)
    }

    fn set_access(
        &self,
        id: Uuid,
        access: &Access,
        updated_us: i64,
    ) -> Result<bool, InventoryError> {
        const SET: &str =
            "UPDATE delfin_storages SET access = $3, updated_us = $4 WHERE lease = $1 AND id = $2";
        let sealer = self.lock();
        let sealed = sealer.seal_access(id, access)?;
        self.update(id, SET, vec![Box::new(sealed), Box::new(updated_us)])
    }

    fn set_info(
        &self,
        id: Uuid,
        info: &StorageInfo,
        updated_us: i64,
    ) -> Result<bool, InventoryError> {
        const SET: &str =
            "UPDATE delfin_storages SET info = $3, updated_us = $4 WHERE lease = $1 AND id = $2";
        let info = json_text(info)?;
        self.update(id, SET, vec![Box::new(info), Box::new(updated_us)])
    }

    fn set_labels(
        &self,
        id: Uuid,
        labels: &StaticLabels,
        updated_us: i64,
    ) -> Result<bool, InventoryError> {
        const SET: &str =
            "UPDATE delfin_storages SET labels = $3, updated_us = $4 WHERE lease = $1 AND id = $2";
        let labels = json_text(labels)?;
        self.update(id, SET, vec![Box::new(labels), Box::new(updated_us)])
    }

    fn alert_sources(&self) -> Result<Vec<AlertSource>, InventoryError> {
        const LIST: &str =
            "SELECT storage_id, created_us, updated_us, snmp FROM delfin_alert_sources
             WHERE lease = $1 ORDER BY created_us, storage_id";
        let sealer = self.lock();
        let stored = self.rows(LIST, alert_source)?.into_iter();
        stored.map(|one| sealer.alert_source(one)).collect()
    }

    fn set_alert_source(&self, source: &AlertSource) -> Result<(), InventoryError> {
        const SET: &str = "INSERT INTO delfin_alert_sources VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (lease, storage_id) DO UPDATE SET created_us = $3, updated_us = $4, snmp = $5";
        let sealer = self.lock();
        let sealed = sealer.seal_snmp(source.storage_id, &source.snmp)?;
        let values: Vec<SqlValue> = vec![
            Box::new(source.created_us),
            Box::new(source.updated_us),
            Box::new(sealed),
        ];
        self.update(source.storage_id, SET, values).map(drop)
    }

    fn remove_alert_source(&self, id: Uuid) -> Result<bool, InventoryError> {
        self.update(id, REMOVE_SOURCE, Vec::new())
    }

    fn remove(&self, id: Uuid) -> Result<bool, InventoryError> {
        const REMOVE: &str = "DELETE FROM delfin_storages WHERE lease = $1 AND id = $2";
        let removed = self.database.change(async move |tx, lease| {
            let id = id.to_string();
            tx.execute(REMOVE_SOURCE, &[&lease, &id]).await?;
            Ok(tx.execute(REMOVE, &[&lease, &id]).await?)
        });
        Ok(removed? > 0)
    }

    fn earlier_progress(&self) -> Result<BTreeMap<String, i64>, InventoryError> {
        const LIST: &str = "SELECT id, collected_until_ms FROM delfin_storages
             WHERE lease = $1 AND collected_until_ms IS NOT NULL";
        let rows = self.rows(LIST, |row| Ok((row.get(0), row.get(1))))?;
        Ok(rows.into_iter().collect())
    }

    fn storages_of(&self, cluster: &str) -> Result<Vec<Registration>, MoveError> {
        moves::storages_of(&self.database, &self.lock(), cluster)
    }

    fn move_to(
        &self,
        id: Uuid,
        cluster: &str,
        collected_until_ms: Option<i64>,
    ) -> Result<bool, MoveError> {
        moves::move_to(
            &self.database,
            &self.lock(),
            (id, cluster),
            collected_until_ms,
        )
    }

    fn arrivals(&self) -> Result<Option<i64>, InventoryError> {
        const COUNT: &str = "SELECT arrivals FROM delfin_states WHERE lease = $1";
        Ok(self.rows(COUNT, |row| Ok(row.get(0)))?.pop())
    }

    fn rekey(&self, key_file: Option<&Path>) -> Result<usize, RekeyError> {
        let mut sealer = self.lock();
        let seal_again = |new| self.seal_again(&mut sealer, new);
        self.key.replace(key_file, seal_again)
    }

    fn fault(&self) -> Option<InventoryFault> {
        None
    }
}

const LIST_STORAGES: &str =
    "SELECT id, vendor, model, storage_name, info, perf_collection, interval_ms, is_historic,
       created_us, updated_us, access, labels
     FROM delfin_storages WHERE lease = $1 ORDER BY created_us, id";

const SET_KEY_PROOF: &str = "UPDATE delfin_states SET key_proof = $2 WHERE lease = $1";

const REMOVE_SOURCE: &str = "DELETE FROM delfin_alert_sources WHERE lease = $1 AND storage_id = $2";

async fn read_texts(client: &Client, lease: &str) -> Result<Vec<SealedText>, StoreError> {
    const ACCESS: &str = "SELECT id, access FROM delfin_storages WHERE lease = $1";
    const SNMP: &str = "SELECT storage_id, snmp FROM delfin_alert_sources WHERE lease = $1";
    let mut texts = Vec::new();
    for (kind, select) in [(SecretKind::Access, ACCESS), (SecretKind::Snmp, SNMP)] {
        for row in client.query(select, &[&lease]).await? {
            let (id, text) = (id(&row, 0)?, row.get(1));
            texts.push(SealedText { kind, id, text });
        }
    }
    Ok(texts)
}

fn registration(row: &Row) -> Result<SealedRegistration, StoreError> {
    Ok(SealedRegistration {
        registration: Registration {
            id: id(row, 0)?,
            vendor: row.get(1),
            model: row.get(2),
            storage_name: row.get(3),
            access: Access::new(),
            info: json(row, 4)?,
            schedule: PerformanceSchedule {
                enabled: row.get(5),
                interval: from_millis(row.get(6)),
                backfill: row.get(7),
            },
            created_us: row.get(8),
            updated_us: row.get(9),
            labels: Arc::new(json(row, 11)?),
        },
        access: row.get(10),
    })
}

fn alert_source(row: &Row) -> Result<SealedAlertSource, StoreError> {
    Ok(SealedAlertSource {
        storage_id: id(row, 0)?,
        created_us: row.get(1),
        updated_us: row.get(2),
        snmp: row.get(3),
    })
}

fn id(row: &Row, column: usize) -> Result<Uuid, StoreError> {
    let id: &str = row.get(column);
    id.parse().map_err(|_| damaged(row, column))
}

/// A value that is stored as JSON.
fn json<T: DeserializeOwned>(row: &Row, column: usize) -> Result<T, StoreError> {
    serde_json::from_str(row.get(column)).map_err(|_| damaged(row, column))
}

fn content(error: impl fmt::Display) -> StoreError {
    StoreError::Content(error.to_string())
}

fn damaged(row: &Row, column: usize) -> StoreError {
    let column = row.columns().get(column).map_or("", |column| column.name());
    StoreError::Content(format!(
        "the inventory in the database of the cluster has a row whose `{column}` is damaged (restore the database)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inventory::conformance::{
            OpenInventory, SECRET, alert_source, inventory_conformance, registration,
        },
        postgres::testing::{self, TestLease},
    };

    fn new_inventory() -> OpenInventory {
        let lease = TestLease::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        Box::new(move || Box::new(open(&lease, folder.path()).unwrap()))
    }

    fn open(lease: &TestLease, folder: &Path) -> Result<PostgresInventory, InventoryOpenError> {
        let key = KeyPlace::State(folder.join("inventory.key"));
        PostgresInventory::open(Arc::new(lease.owner(1).unwrap()), &key)
    }

    inventory_conformance!(new_inventory, testing::port().is_some());

    #[tokio::test(flavor = "multi_thread")]
    async fn no_secret_is_readable_in_the_database() {
        let Some(lease) = TestLease::new() else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let inventory = open(&lease, folder.path()).unwrap();
        let storage = registration();
        inventory.add(&storage).unwrap();
        inventory
            .set_alert_source(&alert_source(storage.id))
            .unwrap();
        const ROWS: &str =
            "SELECT s::text || encode(s.access, 'escape') || a::text || encode(a.snmp, 'escape')
             FROM delfin_storages s JOIN delfin_alert_sources a USING (lease) WHERE lease = $1";
        let client = lease.database().connect().await.unwrap();
        let row = client.query_one(ROWS, &[&lease.name]).await.unwrap();
        let row: &str = row.get(0);
        assert!(row.contains(&storage.id.to_string()), "{row}");
        for secret in [SECRET, "10.0.0.1", "user-one"] {
            assert!(!row.contains(secret), "{row}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_key_of_another_host_is_an_error_that_names_the_remedy() {
        let Some(lease) = TestLease::new() else {
            return;
        };
        let [own, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        open(&lease, own.path())
            .unwrap()
            .add(&registration())
            .unwrap();
        let error = open(&lease, other.path()).err().unwrap();
        assert_eq!(InventoryFault::from(&error), InventoryFault::KeyMissing);
        drop(open(&TestLease::new().unwrap(), other.path()).unwrap());
        let error = open(&lease, other.path()).err().unwrap().to_string();
        let remedy = "(copy the file of `inventory.key_file` from the other host)";
        assert!(
            error.contains("does not open the access data") && error.ends_with(remedy),
            "{error}"
        );
        let key = other.path().join("inventory.key");
        let checked = check_key(&lease.database(), &lease.name, &key).await;
        assert_eq!(checked, Err(error));
        let key = own.path().join("inventory.key");
        assert_eq!(
            check_key(&lease.database(), &lease.name, &key).await,
            Ok(())
        );
    }

    #[test]
    fn a_character_that_the_database_does_not_take_is_replaced() {
        let Some(lease) = TestLease::new() else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let inventory = open(&lease, folder.path()).unwrap();
        let storage = Registration {
            storage_name: Some("a\0b".to_owned()),
            ..registration()
        };
        inventory.add(&storage).unwrap();
        let stored = inventory.storages().unwrap().remove(0);
        assert_eq!(stored.storage_name.as_deref(), Some("a\u{fffd}b"));
    }
}
