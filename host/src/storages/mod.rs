//! All storages: those that the configuration declares, and those that were registered.
//!
//! The host registers a storage after the storage answered its driver, and then collects
//! from it at once. Declared storages can be changed in the configuration only. Views of
//! storages contain no access data. If the inventory cannot be opened, declared storages are
//! collected from, and every call that concerns registered storages fails with the reason: they
//! are unknown, not absent.
//!
//! Knows nothing of HTTP and of the format of the inventory.

mod access;
mod addresses;
mod alert_sources;
mod error;
mod identity;
mod import;
mod labels;
mod moves;
mod parts;
mod removed;
mod reopen;
mod resource_series;
mod resources;
mod shared_inventory;
mod sync;
mod view;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use delfin_plugin_api::AlertBatch;
use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

pub use alert_sources::{AlertSources, UsedAlertSources};
pub use error::StorageError;
pub use identity::{RegisteredTwin, StorageIdentity};
pub use import::ImportState;
pub use moves::take_in_moved;
pub use parts::StorageParts;
pub use removed::end_alerts_of_removed;
pub use resource_series::send_resource_series;
pub use resources::sync_on_schedule;
pub use view::{StorageStatus, StorageView};

use self::{
    labels::DeclaredLabels,
    resource_series::{AcceptSeries, DueSeries},
    shared_inventory::{InventoryContents, SharedInventory, Stored, report},
};
use crate::{
    alert::ActiveAlerts,
    clock::now_us,
    collect::{
        AlertSelection, Capabilities, CollectConfig, CollectMonitor, CollectSchedule, Destination,
        DriverRegistry, ResourceNameSource, Scheduler, UnknownDriver, identify,
    },
    config::StorageConfig,
    inventory::{
        Access, Inventory, InventoryFault, InventoryPlace, PerformanceSchedule, Registration,
        RekeyError, ResourceStore,
    },
};

/// Default interval of measurements and alert syncs.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

/// How long a client waits for a storage.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A storage to register.
#[derive(Clone)]
pub struct NewStorage {
    /// Vendor and model choose the driver.
    pub vendor: String,
    pub model: String,
    pub storage_name: Option<String>,
    pub access: Access,
}

/// All storages, and the scheduler that collects from them.
pub struct Storages {
    declared: Vec<StorageConfig>,
    /// A reload can change them.
    declared_labels: Mutex<DeclaredLabels>,
    registered: Mutex<BTreeMap<Uuid, Registration>>,
    alert_sources: watch::Sender<AlertSources>,
    /// Those that the receiver of traps uses, if there is one.
    used_sources: watch::Sender<Option<AlertSources>>,
    /// Held from the last check for a duplicate until the storage is in the inventory, while a storage is removed or moved, and while
    /// the inventory is read again. Not held while a storage is asked: one that hangs must not block the others.
    registering: tokio::sync::Mutex<()>,
    place: InventoryPlace,
    inventory: SharedInventory,
    resources: Arc<ResourceStore>,
    registry: DriverRegistry,
    scheduler: Scheduler,
    syncing: sync::Syncing,
    accept_series: AcceptSeries,
    due_series: Arc<DueSeries>,
    alerts: ActiveAlerts,
    /// How often the resources of each storage are listed.
    resources_interval: Duration,
    started_us: i64,
}

impl Storages {
    /// Starts to collect from every storage; without an inventory, from the declared ones. Must
    /// be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// A declared storage has no driver.
    pub fn start<D: Destination>(
        parts: StorageParts<'_>,
        destination: D,
    ) -> Result<Self, UnknownDriver> {
        let (declared, registry) = (parts.declared, parts.registry);
        let Stored {
            inventory,
            contents,
        } = Stored::read(parts.place.open())
            .unwrap_or_else(|error| Stored::unknown(report(&error)));
        let InventoryContents {
            registered,
            alert_sources,
            until_ms,
        } = contents;
        let inventory = SharedInventory::new(inventory);
        let until_ms = |id: Uuid| until_ms.get(&id.to_string()).copied();
        let resources = Arc::new(parts.place.resources());
        let storages = declared.iter().map(|one| {
            let config = declared_config(one, &registry, until_ms(one.id));
            with_names(config, &resources)
        });
        let destination = Arc::new(destination);
        let accept_series = resource_series::accept_by(&destination);
        let scheduler = Scheduler::start(
            storages.collect(),
            &registry,
            parts.collection.limits,
            destination,
        )?;
        for storage in &registered {
            let config = registered_config(storage, until_ms(storage.id));
            let config = with_names(config, &resources);
            // One without a driver waits: a reload may find the plugin that has it.
            scheduler.add(config);
        }
        let storages = Self {
            declared: declared.to_vec(),
            declared_labels: Mutex::new(labels::of_declared(declared)),
            registered: Mutex::new(registered.into_iter().map(|one| (one.id, one)).collect()),
            alert_sources: watch::Sender::new(alert_sources),
            used_sources: watch::Sender::new(None),
            registering: tokio::sync::Mutex::new(()),
            accept_series,
            due_series: Arc::default(),
            alerts: parts.alerts,
            resources_interval: parts.collection.resources_interval,
            resources,
            place: parts.place,
            inventory,
            registry,
            scheduler,
            syncing: sync::Syncing::default(),
            started_us: now_us(),
        };
        storages.forget_resources_of_removed();
        Ok(storages)
    }

    /// Registers a storage and starts to collect from it.
    ///
    /// # Errors
    ///
    /// The storage is registered already, has no driver, or does not answer.
    pub async fn register(self: &Arc<Self>, new: NewStorage) -> Result<StorageView, StorageError> {
        self.inventory()?;
        let identity = StorageIdentity::from(&new);
        self.require_new(&identity)?;
        let factory = self.registry.factory(&new.vendor, &new.model);
        let factory = factory.map_err(|_| StorageError::DriverNotFound {
            driver: format!("{} {}", new.vendor, new.model),
        })?;
        let interval = self.registry.interval(&new.vendor, &new.model);
        let id = Uuid::now_v7();
        let identified = identify(factory, id.to_string(), new.access.clone());
        let info = timeout(REQUEST_TIMEOUT, identified)
            .await
            .map_err(|_| StorageError::Timeout)??;
        let _one_at_a_time = self.registering.lock().await;
        // The same storage may have been registered meanwhile.
        self.require_new(&StorageIdentity {
            serial_number: &info.serial_number,
            ..identity
        })?;
        let storage = Registration {
            id,
            vendor: new.vendor,
            model: new.model,
            storage_name: new.storage_name,
            access: new.access,
            info,
            schedule: PerformanceSchedule {
                enabled: true,
                interval: interval.unwrap_or(DEFAULT_INTERVAL),
                backfill: false,
            },
            labels: Arc::default(),
            created_us: now_us(),
            updated_us: None,
        };
        let stored = storage.clone();
        self.with_inventory(move |inventory| inventory.add(&stored))
            .await?;
        log::info!(storage:% = id, vendor = storage.vendor, model = storage.model; "storage registered");
        let view = StorageView::registered(&storage, None);
        self.collect_from(&storage, None);
        self.registered().insert(id, storage);
        self.spawn_sync(id);
        Ok(view)
    }

    fn require_new(&self, identity: &StorageIdentity<'_>) -> Result<(), StorageError> {
        match RegisteredTwin::find(self.registered().values(), identity) {
            Some(twin) => Err(StorageError::AlreadyExists(twin)),
            None => Ok(()),
        }
    }

    /// Removes a registered storage and its access data, and stops to collect from it. Its
    /// alerts end.
    ///
    /// # Errors
    ///
    /// The storage does not exist, or it is declared.
    pub async fn remove(&self, id: &str) -> Result<(), StorageError> {
        let _one_at_a_time = self.registering.lock().await;
        let id = self.registered_id(id)?;
        self.with_inventory(move |inventory| inventory.remove(id))
            .await?;
        self.registered().remove(&id);
        self.forget_alert_source(id);
        self.stop_collecting(id);
        log::info!(storage:% = id; "storage removed");
        Ok(())
    }

    fn collect_from(&self, storage: &Registration, until_ms: Option<i64>) {
        let config = registered_config(storage, until_ms);
        self.scheduler.add(with_names(config, &self.resources));
    }

    fn stop_collecting(&self, id: Uuid) {
        let id = id.to_string();
        self.scheduler.remove(&id);
        self.forget_resources(&id);
    }

    /// Sets the schedule of a registered storage's measurements, effective at once.
    ///
    /// # Errors
    ///
    /// The storage does not exist, or it is declared.
    pub fn set_performance_schedule(
        &self,
        id: &str,
        schedule: PerformanceSchedule,
    ) -> Result<(), StorageError> {
        let uuid = self.registered_id(id)?;
        let now_us = now_us();
        self.inventory()?.set_schedule(uuid, &schedule, now_us)?;
        self.scheduler
            .set_schedule(&uuid.to_string(), collect_schedule(&schedule));
        if let Some(storage) = self.registered().get_mut(&uuid) {
            storage.schedule = schedule;
            storage.updated_us = Some(now_us);
        }
        Ok(())
    }

    /// The schedule of a storage's measurements.
    ///
    /// # Errors
    ///
    /// The storage does not exist.
    pub fn performance_schedule(&self, id: &str) -> Result<PerformanceSchedule, StorageError> {
        if let Some(declared) = self.declared(id) {
            return Ok(PerformanceSchedule {
                enabled: true,
                interval: measurement_interval(declared, &self.registry),
                backfill: true,
            });
        }
        Ok(self.registration(id)?.schedule)
    }

    /// Every storage, by creation time.
    ///
    /// # Errors
    ///
    /// The registered storages are unknown.
    pub fn list(&self) -> Result<Vec<StorageView>, StorageError> {
        self.inventory()?;
        Ok(self.known())
    }

    /// Every storage that is known, by creation time.
    fn known(&self) -> Vec<StorageView> {
        let mut views = self.views(|_| true);
        views.sort_by_key(|one| (one.created_us, one.id));
        views
    }

    fn views(&self, wanted: impl Fn(Uuid) -> bool) -> Vec<StorageView> {
        let monitor = self.scheduler.monitor();
        let declared = self.declared.iter().filter(|one| wanted(one.id));
        let declared = declared.map(|one| {
            let stats = monitor.stats_of(&one.id.to_string());
            StorageView::declared(one, self.started_us, stats.as_ref())
        });
        let mut views: Vec<StorageView> = declared.collect();
        let registered = self.registered();
        let registered = registered.values().filter(|one| wanted(one.id));
        views.extend(registered.map(|one| {
            let stats = monitor.stats_of(&one.id.to_string());
            StorageView::registered(one, stats.as_ref())
        }));
        let labels = self.declared_labels();
        for view in &mut views {
            if let Some(labels) = labels.get(&view.id) {
                view.labels = Arc::clone(labels);
            }
            view.is_syncing = self.syncing.contains(view.id);
        }
        views
    }

    fn is_known(&self, id: Uuid) -> bool {
        self.declared.iter().any(|one| one.id == id) || self.registered().contains_key(&id)
    }

    /// One storage.
    ///
    /// # Errors
    ///
    /// The storage does not exist.
    pub fn get(&self, id: &str) -> Result<StorageView, StorageError> {
        let uuid = Uuid::try_parse(id).ok();
        let uuid = uuid.filter(|uuid| uuid.to_string() == id);
        let found = uuid.and_then(|uuid| self.views(|one| one == uuid).pop());
        found.ok_or_else(|| self.not_found(id))
    }

    /// All registrations, newest first.
    ///
    /// # Errors
    ///
    /// The registered storages are unknown.
    pub fn registrations(&self) -> Result<Vec<Registration>, StorageError> {
        self.inventory()?;
        let mut all: Vec<_> = self.registered().values().cloned().collect();
        all.sort_by_key(|one| std::cmp::Reverse((one.created_us, one.id)));
        Ok(all)
    }

    /// Why the registered storages are unknown; none if they are known.
    #[must_use]
    pub fn fault(&self) -> Option<InventoryFault> {
        self.inventory.get().err()
    }

    /// Asks a storage for its alerts.
    ///
    /// # Errors
    ///
    /// The storage does not exist, or its driver call failed or timed out.
    pub async fn alerts(
        &self,
        id: &str,
        selection: AlertSelection,
    ) -> Result<AlertBatch, StorageError> {
        let id = self.get(id)?.id.to_string();
        let result = timeout(REQUEST_TIMEOUT, self.scheduler.list_alerts(&id, selection)).await;
        Ok(result.map_err(|_| StorageError::Timeout)??)
    }

    /// [`DriverRegistry::changes`] of the drivers of these storages.
    #[must_use]
    pub fn driver_changes(&self) -> u64 {
        self.registry.changes()
    }

    /// The alerts of an SNMP trap, if the driver of the storage reads traps.
    ///
    /// # Errors
    ///
    /// The storage does not exist, or its driver does not read traps, or not this one.
    pub async fn parse_trap(
        &self,
        id: &str,
        variables: BTreeMap<String, String>,
    ) -> Result<AlertBatch, StorageError> {
        Ok(self.scheduler.parse_trap(id, variables).await?)
    }

    /// What the driver of a storage can measure.
    ///
    /// # Errors
    ///
    /// The storage does not exist, or its driver cannot be opened in time.
    pub async fn capabilities(&self, id: &str) -> Result<Capabilities, StorageError> {
        let id = self.get(id)?.id.to_string();
        let result = timeout(REQUEST_TIMEOUT, self.scheduler.capabilities(&id)).await;
        Ok(result.map_err(|_| StorageError::Timeout)??)
    }

    /// Clears an alert on a storage, and then asks the storage for its alerts, so that the
    /// alert exporters learn of it.
    ///
    /// # Errors
    ///
    /// The storage does not exist, its driver cannot clear alerts, or its call failed or timed
    /// out.
    pub async fn clear_alert(&self, id: &str, sequence_number: String) -> Result<(), StorageError> {
        let id = self.get(id)?.id.to_string();
        let cleared = self.scheduler.clear_alert(&id, sequence_number);
        timeout(REQUEST_TIMEOUT, cleared)
            .await
            .map_err(|_| StorageError::Timeout)??;
        let all = AlertSelection {
            range: None,
            forward: true,
        };
        if let Err(error) = self.alerts(&id, all).await {
            log::warn!(storage = id, error:%; "an alert was cleared, and the list without it will come with the next interval");
        }
        Ok(())
    }

    #[must_use]
    pub fn monitor(&self) -> CollectMonitor {
        self.scheduler.monitor()
    }

    /// Whether the configuration declares a storage.
    #[must_use]
    pub fn is_declared(&self, id: &str) -> bool {
        self.declared(id).is_some()
    }

    /// Stops collection.
    pub async fn stop(&self) {
        self.scheduler.stop().await;
    }

    /// The registration of a storage.
    ///
    /// # Errors
    ///
    /// The storage is not registered.
    pub fn registration(&self, id: &str) -> Result<Registration, StorageError> {
        let registered = self.registered();
        let found = id.parse().ok().and_then(|id: Uuid| registered.get(&id));
        found.cloned().ok_or_else(|| self.not_found(id))
    }

    /// The id of a storage that is not declared in the configuration.
    fn registered_id(&self, id: &str) -> Result<Uuid, StorageError> {
        if self.declared(id).is_some() {
            return Err(StorageError::Declared { id: id.to_owned() });
        }
        Ok(self.registration(id)?.id)
    }

    fn inventory(&self) -> Result<Arc<dyn Inventory>, StorageError> {
        self.inventory.get().map_err(StorageError::Unknown)
    }

    /// Seals the secrets of the inventory with another key. Returns their number.
    ///
    /// # Errors
    ///
    /// The key cannot be used, or the inventory cannot be written.
    pub async fn rekey(&self, key_file: Option<PathBuf>) -> Result<usize, StorageError> {
        let rekey = move |inventory: &dyn Inventory| Ok(inventory.rekey(key_file.as_deref()));
        let secrets = self
            .with_inventory(rekey)
            .await?
            .map_err(|error| match error {
                RekeyError::KeyRequired { .. } | RekeyError::Key(_) => StorageError::Key {
                    reason: error.to_string(),
                },
                RekeyError::Inventory(error) => error.into(),
            })?;
        log::info!(secrets; "the secrets of the inventory have a new key");
        Ok(secrets)
    }

    /// Why a storage is not there: without an inventory, it may be a registered one.
    fn not_found(&self, id: &str) -> StorageError {
        let absent = StorageError::NotFound { id: id.to_owned() };
        self.fault().map_or(absent, StorageError::Unknown)
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

impl std::fmt::Debug for Storages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storages")
            .field("scheduler", &self.scheduler)
            .finish_non_exhaustive()
    }
}

/// The interval of measurements of a declared storage.
fn measurement_interval(storage: &StorageConfig, registry: &DriverRegistry) -> Duration {
    let of_driver = || registry.interval(&storage.vendor, &storage.model);
    let interval = storage.performance_interval.or_else(of_driver);
    interval.unwrap_or(DEFAULT_INTERVAL)
}

fn declared_config(
    storage: &StorageConfig,
    registry: &DriverRegistry,
    collected_until_ms: Option<i64>,
) -> CollectConfig {
    CollectConfig {
        id: storage.id.to_string(),
        name: Some(storage.name.clone()),
        vendor: storage.vendor.clone(),
        model: storage.model.clone(),
        schedule: CollectSchedule {
            performance: Some(measurement_interval(storage, registry)),
            alerts: Some(storage.alerts_interval),
            backfill: true,
        },
        collected_until_ms,
        options: Arc::clone(&storage.options),
        names: ResourceNameSource::default(),
        labels: Arc::clone(&storage.labels),
    }
}

/// The names of the resources come from their lists.
fn with_names(mut config: CollectConfig, resources: &Arc<ResourceStore>) -> CollectConfig {
    let (store, id) = (Arc::clone(resources), config.id.clone());
    config.names = ResourceNameSource::new(move || resource_series::names(&store, &id));
    config
}

fn registered_config(storage: &Registration, collected_until_ms: Option<i64>) -> CollectConfig {
    CollectConfig {
        id: storage.id.to_string(),
        name: None,
        vendor: storage.vendor.clone(),
        model: storage.model.clone(),
        schedule: collect_schedule(&storage.schedule),
        collected_until_ms,
        options: Arc::new(storage.access.clone()),
        names: ResourceNameSource::default(),
        labels: Arc::clone(&storage.labels),
    }
}

fn collect_schedule(schedule: &PerformanceSchedule) -> CollectSchedule {
    CollectSchedule {
        performance: schedule.enabled.then_some(schedule.interval),
        alerts: Some(DEFAULT_INTERVAL),
        backfill: schedule.backfill,
    }
}
