//! Syncs: asks storages again for what they report about themselves, and for their resources.
//!
//! A sync runs in the background; a storage has at most one at a time. A new storage has its first
//! sync at once.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;

use super::{REQUEST_TIMEOUT, StorageError, Storages};
use crate::{clock::now_us, collect::StorageInfo, inventory::Registration};

/// How many storages are asked at the same time: a list can need much memory.
const MAX_AT_ONCE: usize = 4;

/// The storages whose sync has not ended.
#[derive(Debug)]
pub(super) struct Syncing {
    storages: Mutex<BTreeSet<Uuid>>,
    permits: Semaphore,
}

impl Default for Syncing {
    fn default() -> Self {
        Self {
            storages: Mutex::default(),
            permits: Semaphore::new(MAX_AT_ONCE),
        }
    }
}

impl Syncing {
    pub(super) fn contains(&self, id: Uuid) -> bool {
        self.lock().contains(&id)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Uuid>> {
        self.storages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storages {
    /// Starts a sync of a storage.
    ///
    /// # Errors
    ///
    /// The storage does not exist, or its last sync has not ended.
    pub fn start_sync(self: &Arc<Self>, id: &str) -> Result<(), StorageError> {
        let uuid = self.get(id)?.id;
        if self.spawn_sync(uuid) {
            return Ok(());
        }
        Err(StorageError::Syncing { id: id.to_owned() })
    }

    /// Starts a sync of every storage whose last sync has ended.
    ///
    /// # Errors
    ///
    /// The registered storages are unknown.
    pub fn start_sync_of_all(self: &Arc<Self>) -> Result<(), StorageError> {
        for storage in self.list()? {
            self.spawn_sync(storage.id);
        }
        Ok(())
    }

    /// Returns whether the sync was started.
    pub(super) fn spawn_sync(self: &Arc<Self>, id: Uuid) -> bool {
        let started = self.syncing.lock().insert(id);
        if started {
            let storages = Arc::clone(self);
            tokio::spawn(async move {
                let _permit = storages.syncing.permits.acquire().await;
                if let Err(error) = storages.sync(id).await {
                    log::warn!(storage:% = id, error:%; "storage cannot be synced");
                }
                storages.syncing.lock().remove(&id);
            });
        }
        started
    }

    async fn sync(&self, id: Uuid) -> Result<(), StorageError> {
        let storage_id = id.to_string();
        let identified = timeout(REQUEST_TIMEOUT, self.scheduler.identify(&storage_id));
        let info = identified.await.map_err(|_| StorageError::Timeout)??;
        self.set_info(id, info).await?;
        self.sync_resources(&storage_id).await?;
        self.scheduler.read_names(&storage_id);
        self.due_series.add(id);
        Ok(())
    }

    /// Stores what a storage reported about itself, if it is registered and something changed.
    async fn set_info(&self, id: Uuid, info: StorageInfo) -> Result<(), StorageError> {
        // What a declared storage reports is in the statistics.
        let is_changed = |storage: &Registration| storage.info != info;
        if !self.registered().get(&id).is_some_and(is_changed) {
            return Ok(());
        }
        let (updated_us, stored) = (now_us(), info.clone());
        self.with_inventory(move |inventory| inventory.set_info(id, &stored, updated_us))
            .await?;
        if let Some(storage) = self.registered().get_mut(&id) {
            storage.info = info;
            storage.updated_us = Some(updated_us);
        }
        Ok(())
    }
}
