//! The storages there are: declared in the configuration, or registered.
//!
//! A storage is registered once its driver has spoken with it, and only then
//! kept; it is collected from at once. Declared storages are shown beside the
//! registered ones and are changed in their file only. No password leaves.
//!
//! Knows nothing of HTTP, and nothing of how anything is stored.

mod known;
mod progress;
mod refusal;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use delfin_plugin_api::AlertBatch;
use serde_json::Value;
use tokio::time::timeout;
use uuid::Uuid;

pub use known::Known;
pub use progress::Progress;
pub use refusal::Refusal;

use crate::{
    clock::now_us,
    collect::{
        ACCESS_OPTIONS, AlertQuery, Collecting, Destination, EXTRA, Offer, Pace, Registry,
        Schedule, StorageConfig as Collection, UnknownDriver, identify,
    },
    config::StorageConfig,
    inventory::{Access, Inventory, InventoryError, Polling, Registration},
};

/// How often a storage is asked as long as nobody has said otherwise.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

/// How long whoever asks waits for a storage.
const PATIENCE: Duration = Duration::from_secs(60);

/// A storage to register.
#[derive(Clone)]
pub struct NewStorage {
    /// The vendor, which with the model chooses the driver.
    pub vendor: String,
    /// The model.
    pub model: String,
    /// Its name in the registration.
    pub storage_name: Option<String>,
    /// How it is reached.
    pub access: Access,
}

/// Why the storages cannot be collected from.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A declared storage has no driver.
    #[error(transparent)]
    Driver(#[from] UnknownDriver),
    /// The inventory cannot be read.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
}

/// All storages, and the schedule that asks them.
#[derive(Debug)]
pub struct Storages {
    declared: Vec<StorageConfig>,
    registered: Mutex<BTreeMap<Uuid, Registration>>,
    /// Taken from the check for a duplicate until the storage is kept.
    registering: tokio::sync::Mutex<()>,
    inventory: Kept,
    progress: Arc<Progress>,
    registry: Registry,
    schedule: Schedule,
    started_us: i64,
}

struct Kept(Arc<dyn Inventory>);

impl Storages {
    /// Begins to collect from every storage. Must be called within a tokio
    /// runtime; `destination` makes of the progress a place for what is collected.
    ///
    /// # Errors
    ///
    /// A declared storage has no driver, or the inventory cannot be read.
    pub fn start<D: Destination>(
        declared: &[StorageConfig],
        inventory: Arc<dyn Inventory>,
        registry: Registry,
        destination: impl FnOnce(Arc<Progress>) -> D,
    ) -> Result<Self, StartError> {
        let progress = Arc::new(Progress::new(Arc::clone(&inventory)));
        let until_ms = inventory.progress()?;
        let until_ms = |id: Uuid| until_ms.get(&id.to_string()).copied();
        let storages = declared.iter().map(|one| collection(one, until_ms(one.id)));
        let destination = Arc::new(destination(Arc::clone(&progress)));
        let schedule = Schedule::start(storages.collect(), &registry, destination)?;
        let registered = inventory.storages()?;
        for storage in &registered {
            let config = registered_collection(storage, until_ms(storage.id));
            if let Err(error) = schedule.add(config) {
                // It stays registered: a later version may have its driver again.
                log::error!(storage:% = storage.id, error:%; "a registered storage is not collected from");
            }
        }
        Ok(Self {
            declared: declared.to_vec(),
            registered: Mutex::new(registered.into_iter().map(|one| (one.id, one)).collect()),
            registering: tokio::sync::Mutex::new(()),
            inventory: Kept(inventory),
            progress,
            registry,
            schedule,
            started_us: now_us(),
        })
    }

    /// Registers a storage and begins to collect from it.
    ///
    /// # Errors
    ///
    /// It is registered already, has no driver, or its driver cannot reach it.
    pub async fn register(&self, new: NewStorage) -> Result<Known, Refusal> {
        let _one_at_a_time = self.registering.lock().await;
        if self.registered().values().any(|one| is_same(one, &new)) {
            return Err(Refusal::AlreadyExists);
        }
        let factory = self.registry.factory(&new.vendor, &new.model);
        let factory = factory.map_err(|_| Refusal::DriverNotFound {
            driver: format!("{} {}", new.vendor, new.model),
        })?;
        let id = Uuid::now_v7();
        let identified = identify(factory, id.to_string(), new.access.clone());
        let info = timeout(PATIENCE, identified)
            .await
            .map_err(|_| Refusal::Silent)??;
        let same_serial = |one: &Registration| one.info.serial_number == info.serial_number;
        if self.registered().values().any(same_serial) {
            return Err(Refusal::AlreadyExists);
        }
        let storage = Registration {
            id,
            vendor: new.vendor,
            model: new.model,
            storage_name: new.storage_name,
            access: new.access,
            info,
            polling: Polling {
                perf_collection: true,
                interval: DEFAULT_INTERVAL,
                is_historic: false,
            },
            created_us: now_us(),
            updated_us: None,
        };
        self.inventory.0.add(&storage)?;
        log::info!(storage:% = id, vendor = storage.vendor, model = storage.model; "storage registered");
        let config = registered_collection(&storage, None);
        let known = Known::registered(&storage, None);
        self.registered().insert(id, storage);
        self.schedule
            .add(config)
            .map_err(|error| Refusal::DriverNotFound {
                driver: format!("{} {}", error.vendor, error.model),
            })?;
        Ok(known)
    }

    /// Forgets a registered storage and collects from it no more.
    ///
    /// # Errors
    ///
    /// There is no such storage, or it is declared.
    pub fn remove(&self, id: &str) -> Result<(), Refusal> {
        let id = self.changeable(id)?;
        self.inventory.0.remove(id)?;
        self.registered().remove(&id);
        let id = id.to_string();
        self.schedule.remove(&id);
        self.progress.forget(&id);
        log::info!(storage = id; "storage removed");
        Ok(())
    }

    /// Sets how often a registered storage is measured, from now on.
    ///
    /// # Errors
    ///
    /// There is no such storage, or it is declared.
    pub fn set_polling(&self, id: &str, polling: Polling) -> Result<(), Refusal> {
        let uuid = self.changeable(id)?;
        let now_us = now_us();
        self.inventory.0.set_polling(uuid, &polling, now_us)?;
        self.schedule.set_pace(&uuid.to_string(), pace(&polling));
        if let Some(storage) = self.registered().get_mut(&uuid) {
            storage.polling = polling;
            storage.updated_us = Some(now_us);
        }
        Ok(())
    }

    /// How often a storage is measured.
    ///
    /// # Errors
    ///
    /// There is no such storage.
    pub fn polling(&self, id: &str) -> Result<Polling, Refusal> {
        if let Some(declared) = self.declared(id) {
            return Ok(Polling {
                perf_collection: true,
                interval: declared.performance_interval,
                is_historic: true,
            });
        }
        Ok(self.registration(id)?.polling)
    }

    /// Every storage, in the order in which they came.
    #[must_use]
    pub fn list(&self) -> Vec<Known> {
        let stats = self.schedule.collecting().stats();
        let declared = self
            .declared
            .iter()
            .map(|one| Known::declared(one, self.started_us, stats.get(&one.id.to_string())));
        let mut known: Vec<Known> = declared.collect();
        let registered = self.registered();
        let registered = registered.values();
        known.extend(registered.map(|one| Known::registered(one, stats.get(&one.id.to_string()))));
        known.sort_by_key(|one| (one.created_us, one.id));
        known
    }

    /// One storage.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn get(&self, id: &str) -> Result<Known, Refusal> {
        let found = self.list().into_iter().find(|one| one.id.to_string() == id);
        found.ok_or_else(|| Refusal::NotFound { id: id.to_owned() })
    }

    /// How each registered storage was registered, the newest first.
    #[must_use]
    pub fn registrations(&self) -> Vec<Registration> {
        let mut all: Vec<_> = self.registered().values().cloned().collect();
        all.sort_by_key(|one| std::cmp::Reverse((one.created_us, one.id)));
        all
    }

    /// A storage's alerts, from the storage itself.
    ///
    /// # Errors
    ///
    /// There is no such storage, or it has no answer.
    pub async fn alerts(&self, id: &str, query: AlertQuery) -> Result<AlertBatch, Refusal> {
        let id = self.get(id)?.id.to_string();
        let asked = timeout(PATIENCE, self.schedule.list_alerts(&id, query)).await;
        Ok(asked.map_err(|_| Refusal::Silent)??)
    }

    /// What a storage's driver can be asked for.
    ///
    /// # Errors
    ///
    /// There is no such storage, or it has no answer.
    pub async fn offer(&self, id: &str) -> Result<Offer, Refusal> {
        let id = self.get(id)?.id.to_string();
        let asked = timeout(PATIENCE, self.schedule.offer(&id)).await;
        Ok(asked.map_err(|_| Refusal::Silent)??)
    }

    /// How collection from each is going.
    #[must_use]
    pub fn collecting(&self) -> Collecting {
        self.schedule.collecting()
    }

    /// How far each is collected.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Collects no more.
    pub async fn stop(&self) {
        self.schedule.stop().await;
    }

    /// How a storage was registered.
    ///
    /// # Errors
    ///
    /// No such storage is registered.
    pub fn registration(&self, id: &str) -> Result<Registration, Refusal> {
        let registered = self.registered();
        let found = id.parse().ok().and_then(|id: Uuid| registered.get(&id));
        found
            .cloned()
            .ok_or_else(|| Refusal::NotFound { id: id.to_owned() })
    }

    fn changeable(&self, id: &str) -> Result<Uuid, Refusal> {
        if self.declared(id).is_some() {
            return Err(Refusal::Declared { id: id.to_owned() });
        }
        Ok(self.registration(id)?.id)
    }

    fn declared(&self, id: &str) -> Option<&StorageConfig> {
        self.declared.iter().find(|one| one.id.to_string() == id)
    }

    fn registered(&self) -> MutexGuard<'_, BTreeMap<Uuid, Registration>> {
        self.registered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("inventory")
    }
}

/// Whether somebody registers what is registered: the same address under the
/// same name. Who logs in there makes no difference.
fn is_same(known: &Registration, new: &NewStorage) -> bool {
    let address = |access: &Access, kind: &str| {
        let place = access.get(kind)?;
        Some((place.get("host").cloned(), place.get("port").cloned()))
    };
    let extra = |access: &Access| access.get(EXTRA).cloned().unwrap_or(Value::Null);
    let mut given = ACCESS_OPTIONS
        .iter()
        .filter(|kind| **kind != EXTRA && new.access.contains_key(**kind));
    known.vendor == new.vendor
        && known.model == new.model
        && known.storage_name == new.storage_name
        && extra(&known.access) == extra(&new.access)
        && given.all(|kind| address(&known.access, kind) == address(&new.access, kind))
}

fn collection(storage: &StorageConfig, collected_until_ms: Option<i64>) -> Collection {
    Collection {
        id: storage.id.to_string(),
        name: Some(storage.name.clone()),
        vendor: storage.vendor.clone(),
        model: storage.model.clone(),
        pace: Pace {
            performance: Some(storage.performance_interval),
            alerts: Some(storage.alerts_interval),
            is_historic: true,
        },
        collected_until_ms,
        options: storage.options.clone(),
    }
}

fn registered_collection(storage: &Registration, collected_until_ms: Option<i64>) -> Collection {
    Collection {
        id: storage.id.to_string(),
        name: None,
        vendor: storage.vendor.clone(),
        model: storage.model.clone(),
        pace: pace(&storage.polling),
        collected_until_ms,
        options: storage.access.clone(),
    }
}

fn pace(polling: &Polling) -> Pace {
    Pace {
        performance: polling.perf_collection.then_some(polling.interval),
        alerts: Some(DEFAULT_INTERVAL),
        is_historic: polling.is_historic,
    }
}
