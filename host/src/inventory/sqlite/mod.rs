//! The inventory in an SQLite file.

mod rekey;
mod verify;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, Row, ffi, params};
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub(crate) use verify::SecretCheck;

use super::{
    Access, AlertSource, Inventory, PerformanceSchedule, Registration,
    error::{
        InventoryError, InventoryFault, InventoryOpenError, MoveError, RekeyError, json_text,
        unavailable,
    },
    key_place::KeyPlace,
    seal::Sealer,
    sealed::{SealedAlertSource, SealedRegistration},
};
use crate::{
    clock::millis,
    collect::{StaticLabels, StorageInfo},
    sqlite::{Database, DatabaseError, FailureKind, OpenFiles},
};

pub(super) const FILE: &str = "inventory.db";

pub(crate) const INVENTORY: Database = Database {
    name: "inventory",
    schema: include_str!("schema.sql"),
    application_id: 1_145_849_417,
    version: 3,
    migrations: &[
        include_str!("alert_sources.sql"),
        include_str!("labels.sql"),
    ],
    // A damaged inventory is left as it is: only the operator can register its storages again.
    tables: &[],
    create_pragmas: "",
    pragmas: "PRAGMA secure_delete = ON;",
};

/// An inventory in one file. A mutex serializes the calls.
pub(super) struct SqliteInventory {
    store: Mutex<SealedStore>,
    /// Closed after the connection.
    files: OpenFiles,
    is_displaced: AtomicBool,
    key: KeyPlace,
}

/// The database, and the key of its secrets.
struct SealedStore {
    connection: Connection,
    sealer: Sealer,
}

impl SqliteInventory {
    pub(super) fn open(state_dir: &Path, key: &KeyPlace) -> Result<Self, InventoryOpenError> {
        let path = state_dir.join(FILE);
        if let KeyPlace::State(key) = key
            && key.exists()
        {
            check_content(&path)?;
        }
        // Reads everything, so that damage is found before anything is written.
        let (connection, (stored, sources)) = INVENTORY
            .open(&path, |connection| {
                check_pages(connection)?;
                read_progress(connection)?;
                Ok((read_storages(connection)?, read_alert_sources(connection)?))
            })
            .map_err(|error| open_error(&path, error))?;
        let texts = rekey::texts(&connection).map_err(InventoryError::from)?;
        let store = SealedStore {
            sealer: key.open(&texts)?,
            connection,
        };
        // Detects a wrong key now, and not when a storage refuses its driver.
        for storage in stored {
            store.sealer.registration(storage)?;
        }
        for source in sources {
            store.sealer.alert_source(source)?;
        }
        Ok(Self {
            files: OpenFiles::open(&path).map_err(|source| INVENTORY.unreadable(&path, source))?,
            is_displaced: AtomicBool::new(false),
            key: key.clone(),
            store: Mutex::new(store),
        })
    }

    fn lock(&self) -> MutexGuard<'_, SealedStore> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inventory for SqliteInventory {
    fn storages(&self) -> Result<Vec<Registration>, InventoryError> {
        let store = self.lock();
        let stored = read_storages(&store.connection)?.into_iter();
        stored.map(|one| store.sealer.registration(one)).collect()
    }

    fn add(&self, storage: &Registration) -> Result<(), InventoryError> {
        let info = json_text(&storage.info)?;
        let store = self.lock();
        let sealed = store.sealer.seal_access(storage.id, &storage.access)?;
        store.connection.execute(
            "INSERT INTO storages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            params![
                storage.id,
                storage.vendor,
                storage.model,
                storage.storage_name,
                info,
                storage.schedule.enabled,
                millis(storage.schedule.interval),
                storage.schedule.backfill,
                storage.created_us,
                storage.updated_us,
                sealed,
                json_text(&*storage.labels)?,
            ],
        )?;
        Ok(())
    }

    fn set_schedule(
        &self,
        id: Uuid,
        schedule: &PerformanceSchedule,
        updated_us: i64,
    ) -> Result<bool, InventoryError> {
        let changed = self.lock().connection.execute(
            "UPDATE storages SET perf_collection = ?2, interval_ms = ?3, is_historic = ?4,
                updated_us = ?5 WHERE id = ?1",
            params![
                id,
                schedule.enabled,
                millis(schedule.interval),
                schedule.backfill,
                updated_us,
            ],
        )?;
        Ok(changed > 0)
    }

    fn set_access(
        &self,
        id: Uuid,
        access: &Access,
        updated_us: i64,
    ) -> Result<bool, InventoryError> {
        let store = self.lock();
        let sealed = store.sealer.seal_access(id, access)?;
        let changed = store.connection.execute(
            "UPDATE storages SET access = ?2, updated_us = ?3 WHERE id = ?1",
            params![id, sealed, updated_us],
        )?;
        Ok(changed > 0)
    }

    fn set_info(
        &self,
        id: Uuid,
        info: &StorageInfo,
        updated_us: i64,
    ) -> Result<bool, InventoryError> {
        let info = json_text(info)?;
        let changed = self.lock().connection.execute(
            "UPDATE storages SET info = ?2, updated_us = ?3 WHERE id = ?1",
            params![id, info, updated_us],
        )?;
        Ok(changed > 0)
    }

    fn set_labels(
        &self,
        id: Uuid,
        labels: &StaticLabels,
        updated_us: i64,
    ) -> Result<bool, InventoryError> {
        let labels = json_text(labels)?;
        let changed = self.lock().connection.execute(
            "UPDATE storages SET labels = ?2, updated_us = ?3 WHERE id = ?1",
            params![id, labels, updated_us],
        )?;
        Ok(changed > 0)
    }

    fn alert_sources(&self) -> Result<Vec<AlertSource>, InventoryError> {
        let store = self.lock();
        let sources = read_alert_sources(&store.connection)?.into_iter();
        sources.map(|one| store.sealer.alert_source(one)).collect()
    }

    fn set_alert_source(&self, source: &AlertSource) -> Result<(), InventoryError> {
        let id = source.storage_id;
        let store = self.lock();
        let sealed = store.sealer.seal_snmp(id, &source.snmp)?;
        store.connection.execute(
            "INSERT OR REPLACE INTO alert_sources VALUES (?1, ?2, ?3, ?4)",
            params![id, source.created_us, source.updated_us, sealed],
        )?;
        Ok(())
    }

    fn remove_alert_source(&self, id: Uuid) -> Result<bool, InventoryError> {
        let removed = self
            .lock()
            .connection
            .execute("DELETE FROM alert_sources WHERE storage_id = ?1", [id])?;
        Ok(removed > 0)
    }

    fn remove(&self, id: Uuid) -> Result<bool, InventoryError> {
        let mut store = self.lock();
        let transaction = store.connection.transaction()?;
        let removed = transaction.execute("DELETE FROM storages WHERE id = ?1", [id])?;
        transaction.execute("DELETE FROM alert_sources WHERE storage_id = ?1", [id])?;
        transaction.execute(
            "DELETE FROM progress WHERE storage_id = ?1",
            [id.to_string()],
        )?;
        transaction.commit()?;
        Ok(removed > 0)
    }

    fn earlier_progress(&self) -> Result<BTreeMap<String, i64>, InventoryError> {
        Ok(read_progress(&self.lock().connection)?)
    }

    fn storages_of(&self, _: &str) -> Result<Vec<Registration>, MoveError> {
        Err(MoveError::NoDatabase)
    }

    fn move_to(&self, _: Uuid, _: &str, _: Option<i64>) -> Result<bool, MoveError> {
        Err(MoveError::NoDatabase)
    }

    fn arrivals(&self) -> Result<Option<i64>, InventoryError> {
        Ok(None)
    }

    fn rekey(&self, key_file: Option<&Path>) -> Result<usize, RekeyError> {
        let mut store = self.lock();
        let seal_again = |sealer| rekey::seal_again(&mut store, sealer);
        self.key.replace(key_file, seal_again)
    }

    fn fault(&self) -> Option<InventoryFault> {
        let path = self.files.displaced()?;
        if !self.is_displaced.swap(true, Ordering::Relaxed) {
            log::error!(file:% = path.display(); "a file of the inventory was removed or replaced while the host ran: registered storages cannot be changed (put it back, or another one in its place, and reload the configuration)");
        }
        Some(InventoryFault::Removed)
    }
}

fn stored(row: &Row<'_>) -> rusqlite::Result<SealedRegistration> {
    let registration = Registration {
        id: row.get("id")?,
        vendor: row.get("vendor")?,
        model: row.get("model")?,
        storage_name: row.get("storage_name")?,
        access: Access::new(),
        info: json(row, "info")?,
        labels: Arc::new(json(row, "labels")?),
        schedule: PerformanceSchedule {
            enabled: row.get("perf_collection")?,
            interval: Duration::from_millis(row.get("interval_ms")?),
            backfill: row.get("is_historic")?,
        },
        created_us: row.get("created_us")?,
        updated_us: row.get("updated_us")?,
    };
    let access = row.get("access")?;
    Ok(SealedRegistration {
        registration,
        access,
    })
}

/// A value that is stored as JSON.
fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| {
        let text = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(0, text, Box::new(error))
    })
}

/// The key is created after the tables, so where the key is, tables without content are damage
/// and not a first start. A missing file was moved away by the operator, or lost.
fn check_content(path: &Path) -> Result<(), InventoryOpenError> {
    if !path.exists() {
        log::error!(inventory:% = path.display(); "inventory is missing although its key exists, and is created again: storages that were registered before are unknown (restore it from a backup, or register the storages again)");
        return Ok(());
    }
    let is_new = INVENTORY.is_new(path);
    if is_new.map_err(|error| open_error(path, error))? {
        return Err(InventoryOpenError::Damaged {
            path: path.to_path_buf(),
            reason: "it has no tables".to_owned(),
        });
    }
    Ok(())
}

fn open_error(path: &Path, error: DatabaseError) -> InventoryOpenError {
    match (error.kind(), error) {
        (FailureKind::Damaged, DatabaseError::File { error, .. }) => InventoryOpenError::Damaged {
            path: path.to_path_buf(),
            reason: error.to_string(),
        },
        (_, error) => error.into(),
    }
}

fn check_pages(connection: &Connection) -> rusqlite::Result<()> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    let corrupt = ffi::Error::new(ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(corrupt, Some(found)))
}

fn read_storages(connection: &Connection) -> rusqlite::Result<Vec<SealedRegistration>> {
    let mut statement = connection.prepare("SELECT * FROM storages ORDER BY created_us, id")?;
    statement.query_map([], stored)?.collect()
}

fn read_alert_sources(connection: &Connection) -> rusqlite::Result<Vec<SealedAlertSource>> {
    let mut statement =
        connection.prepare("SELECT * FROM alert_sources ORDER BY created_us, storage_id")?;
    let sources = statement.query_map([], |row| {
        Ok(SealedAlertSource {
            storage_id: row.get("storage_id")?,
            created_us: row.get("created_us")?,
            updated_us: row.get("updated_us")?,
            snmp: row.get("snmp")?,
        })
    })?;
    sources.collect()
}

fn read_progress(connection: &Connection) -> rusqlite::Result<BTreeMap<String, i64>> {
    let mut statement = connection.prepare("SELECT storage_id, until_ms FROM progress")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

impl From<rusqlite::Error> for InventoryError {
    fn from(error: rusqlite::Error) -> Self {
        unavailable(error)
    }
}

#[cfg(test)]
mod tests;
