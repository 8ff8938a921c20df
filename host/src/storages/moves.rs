//! Moves storages to other clusters of the database, and takes in those that come from them.
//!
//! The windows of a storage go on where they ended in the cluster that had it before: this one waits until nothing of the storage is
//! on its way to its journals, and the time until which they have it moves along. What they have is delivered here.

use std::{sync::Weak, time::Duration};

use tokio::time::sleep;
use uuid::Uuid;

use super::{
    RegisteredTwin, StorageError, StorageIdentity, Storages, shared_inventory::InventoryContents,
};
use crate::inventory::{MoveError, Registration};

/// How soon a storage that another cluster has moved here is collected from.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Collects from storages that other clusters move here, until the host stops. Ends at once if none can.
pub async fn take_in_moved(storages: Weak<Storages>) {
    let mut seen = None;
    while let Some(storages) = storages.upgrade() {
        match storages
            .with_inventory(|inventory| inventory.arrivals())
            .await
        {
            Ok(None) => return,
            Ok(found) if found == seen => {}
            Ok(found) => match storages.take_in().await {
                Ok(()) => seen = found,
                Err(error) => {
                    log::warn!(error:%; "storages that other clusters moved here cannot be read, retrying");
                }
            },
            // The log has the reason already.
            Err(_) => {}
        }
        drop(storages);
        sleep(CHECK_INTERVAL).await;
    }
}

impl Storages {
    /// Gives a registered storage to another cluster of the database, and stops to collect from it. Its alerts end here, and that
    /// cluster reports those that are still active.
    ///
    /// # Errors
    ///
    /// The storage does not exist, it is declared, or that cluster cannot have it. This one then goes on to collect from it.
    pub async fn move_to(&self, id: &str, cluster: &str) -> Result<(), StorageError> {
        let _one_at_a_time = self.registering.lock().await;
        let uuid = self.registered_id(id)?;
        let storage = self.registration(id)?;
        self.require_room(&storage, cluster).await?;
        let collected = self.scheduler.remove_and_wait(id).await;
        let (moved, until_ms) = match collected {
            Ok(until_ms) => (self.pass_on(uuid, cluster, until_ms).await, until_ms),
            Err(error) => {
                let reason = format!("cannot tell until when it was collected: {error}");
                (Err(cannot_move(uuid, reason)), None)
            }
        };
        if let Err(error) = moved {
            // It may have been changed meanwhile.
            self.collect_from(&self.registration(id)?, until_ms);
            return Err(error);
        }
        self.registered().remove(&uuid);
        self.forget_alert_source(uuid);
        self.forget_resources(id);
        log::info!(storage = id, cluster; "storage moved to another cluster");
        Ok(())
    }

    /// Checks whether a cluster can have a storage.
    async fn require_room(
        &self,
        storage: &Registration,
        cluster: &str,
    ) -> Result<(), StorageError> {
        let name = cluster.to_owned();
        let there = self.with_inventory(move |inventory| Ok(inventory.storages_of(&name)));
        let there = there
            .await?
            .map_err(|error| move_error(storage.id, error))?;
        match RegisteredTwin::find(there.iter(), &StorageIdentity::from(storage)) {
            None => Ok(()),
            Some(twin) => {
                let reason = format!("in cluster `{cluster}`, {twin}");
                Err(cannot_move(storage.id, reason))
            }
        }
    }

    /// Gives a storage from which nothing is collected any more to a cluster.
    async fn pass_on(
        &self,
        id: Uuid,
        cluster: &str,
        until_ms: Option<i64>,
    ) -> Result<(), StorageError> {
        let name = cluster.to_owned();
        let moved =
            self.with_inventory(move |inventory| Ok(inventory.move_to(id, &name, until_ms)));
        let moved = moved.await?;
        moved.map(drop).map_err(|error| move_error(id, error))
    }

    /// Collects from the registered storages that are in the inventory, and that this host does not know.
    async fn take_in(&self) -> Result<(), StorageError> {
        let _one_at_a_time = self.registering.lock().await;
        let contents = self.with_inventory(InventoryContents::read).await?;
        for storage in contents.registered {
            let id = storage.id;
            if self.is_declared(&id.to_string()) {
                log::error!(storage:% = id; "storage was moved here from another cluster and is declared, too: remove its table from the configuration, and restart the host");
                continue;
            }
            if self.registered().contains_key(&id) {
                continue;
            }
            log::info!(storage:% = id, vendor = storage.vendor, model = storage.model; "storage was moved here from another cluster");
            let until_ms = contents.until_ms.get(&id.to_string());
            self.collect_from(&storage, until_ms.copied());
            self.registered().insert(id, storage);
            if let Some(source) = contents.alert_sources.get(&id) {
                self.use_alert_source(source.clone());
            }
        }
        Ok(())
    }
}

fn move_error(id: Uuid, error: MoveError) -> StorageError {
    match error {
        MoveError::Inventory(error) => error.into(),
        other => cannot_move(id, other.to_string()),
    }
}

fn cannot_move(id: Uuid, reason: String) -> StorageError {
    StorageError::CannotMove {
        id: id.to_string(),
        reason,
    }
}
