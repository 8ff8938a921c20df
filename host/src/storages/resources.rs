//! The resources of storages: asks for them, stores them, and forgets those of removed storages.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::{StorageError, Storages};
use crate::{
    clock::now_us,
    collect::{DriverCallError, DriverError, ResourceKind, ResourceList, StorageRequestError},
    inventory::{InventoryError, InventoryFault, ListState, ResourceStore},
    panics,
};

/// How often the schedule is looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// How long one list may take. Some storages need minutes.
const LIST_TIMEOUT: Duration = Duration::from_secs(600);

/// Syncs each storage whose resources were last listed more than `collection.resources_interval` ago, until
/// the host stops. A storage that was never asked is synced at once. An inventory whose database was away at the start is opened again.
pub async fn sync_on_schedule(storages: Weak<Storages>) {
    let mut last_syncs = LastSyncs::default();
    while let Some(storages) = storages.upgrade() {
        if storages.fault() == Some(InventoryFault::Database) {
            storages.reopen_inventory().await;
        }
        last_syncs.sync_due(&storages).await;
        drop(storages);
        sleep(CHECK_INTERVAL).await;
    }
}

/// When each storage was synced.
#[derive(Default)]
struct LastSyncs(BTreeMap<Uuid, Instant>);

impl LastSyncs {
    async fn sync_due(&mut self, storages: &Arc<Storages>) {
        let now = Instant::now();
        // Those of removed storages are left out.
        let mut syncs = BTreeMap::new();
        for storage in storages.known() {
            let last = match self.0.get(&storage.id) {
                Some(last) => Some(*last),
                None => storages.last_listed(storage.id, now).await,
            };
            let is_due =
                last.is_none_or(|last| now.duration_since(last) >= storages.resources_interval);
            if is_due {
                storages.spawn_sync(storage.id);
            }
            let last = last.filter(|_| !is_due);
            syncs.insert(storage.id, last.unwrap_or(now));
        }
        self.0 = syncs;
    }
}

impl Storages {
    /// The resources of all storages.
    #[must_use]
    pub fn resources(&self) -> &Arc<ResourceStore> {
        &self.resources
    }

    /// The last list of each kind that a storage was asked for. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// The storage does not exist, or the lists cannot be read.
    pub fn resource_lists(&self, id: &str) -> Result<Vec<ListState>, StorageError> {
        let id = self.get(id)?.id.to_string();
        Ok(self.resources.lists(&id)?)
    }

    /// Asks a storage for its resources of every kind. A kind that cannot be listed keeps its
    /// last list.
    pub(super) async fn sync_resources(&self, id: &str) -> Result<(), StorageError> {
        for kind in ResourceKind::all() {
            let listing = timeout(LIST_TIMEOUT, self.scheduler.list_resources(id, kind)).await;
            let error = match listing {
                Ok(Ok(list)) => {
                    report(id, kind, &list);
                    let id = id.to_owned();
                    self.change_resources(move |store| store.replace(&id, kind, &list))
                        .await?;
                    continue;
                }
                Ok(Err(StorageRequestError::Gone)) => break,
                Ok(Err(StorageRequestError::Call(DriverCallError::Driver(
                    DriverError::Unsupported { .. },
                )))) => {
                    let id = id.to_owned();
                    self.change_resources(move |store| store.forget(&id, kind))
                        .await?;
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "storage does not answer in time".to_owned(),
            };
            log::warn!(storage = id, kind = kind.name(), error; "storage cannot list its resources, the last list stays");
            let id = id.to_owned();
            self.change_resources(move |store| store.set_error(&id, kind, &error))
                .await?;
        }
        // The storage may have been removed meanwhile.
        if !Uuid::try_parse(id).is_ok_and(|id| self.is_known(id)) {
            let id = id.to_owned();
            self.change_resources(move |store| store.remove(&id))
                .await?;
        }
        Ok(())
    }

    /// Forgets the resources of a storage that was removed. Blocks on the disk.
    pub(super) fn forget_resources(&self, id: &str) {
        if let Err(error) = self.resources.remove(id) {
            log::warn!(storage = id, error:%; "cannot forget the resources of a removed storage until the next start");
        }
    }

    /// Forgets the resources of storages that were removed while the host was stopped. Blocks on
    /// the disk.
    pub(super) fn forget_resources_of_removed(&self) {
        // Without an inventory it is unknown which storages were removed.
        if self.fault().is_some() {
            return;
        }
        let known: Vec<String> = self.known().iter().map(|one| one.id.to_string()).collect();
        if let Err(error) = self.resources.retain(&known) {
            log::warn!(error:%; "cannot read the resources of storages");
        }
    }

    async fn change_resources<T: Send + 'static>(
        &self,
        change: impl FnOnce(&ResourceStore) -> Result<T, InventoryError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let resources = Arc::clone(&self.resources);
        let changed = panics::spawn_blocking(move || change(&resources)).await;
        let changed = changed.map_err(|error| StorageError::Inventory {
            log: error.to_string(),
        })?;
        Ok(changed?)
    }

    /// When a storage last listed resources; none if it never did.
    async fn last_listed(&self, id: Uuid, now: Instant) -> Option<Instant> {
        let id = id.to_string();
        let lists = self
            .change_resources(move |store| store.lists(&id))
            .await
            .ok()?;
        let last_us = lists.iter().filter_map(|list| list.listed_us).max()?;
        let age_us = u64::try_from(now_us() - last_us).unwrap_or(0);
        now.checked_sub(Duration::from_micros(age_us))
    }
}

fn report(storage: &str, kind: ResourceKind, list: &ResourceList) {
    let kind = kind.name();
    let resources = list.resources.len();
    if list.without_id > 0 || list.beyond_limit > 0 {
        log::warn!(
            storage, kind, resources, without_id = list.without_id, beyond_limit = list.beyond_limit;
            "storage lists resources that are left out"
        );
    }
    log::debug!(storage, kind, resources; "storage has listed its resources");
}
