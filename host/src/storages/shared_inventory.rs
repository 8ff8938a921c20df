//! The inventory that all storages share. It can be opened again while the host runs.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

use super::{AlertSources, StorageError, Storages};
use crate::{
    inventory::{Inventory, InventoryError, InventoryFault, InventoryOpenError, Registration},
    panics,
};

type Opened = Result<Arc<dyn Inventory>, InventoryFault>;

/// Clones share one inventory.
#[derive(Clone)]
pub(super) struct SharedInventory(watch::Sender<Opened>);

impl SharedInventory {
    pub(super) fn new(opened: Opened) -> Self {
        Self(watch::Sender::new(opened))
    }

    /// The inventory, or why it cannot be used.
    pub(super) fn get(&self) -> Opened {
        let inventory = self.0.borrow().clone()?;
        inventory.fault().map_or(Ok(inventory), Err)
    }

    pub(super) fn set(&self, opened: Opened) {
        drop(self.0.send_replace(opened));
    }

    /// Completes when the inventory is open.
    pub(super) async fn opened(&self) {
        // An error is impossible: `self` is a sender.
        let _ = self.0.subscribe().wait_for(Result::is_ok).await;
    }
}

/// The inventory, and what it has when it is opened.
pub(super) struct Stored {
    pub(super) inventory: Opened,
    pub(super) contents: InventoryContents,
}

/// What an inventory has.
#[derive(Default)]
pub(super) struct InventoryContents {
    pub(super) registered: Vec<Registration>,
    pub(super) alert_sources: AlertSources,
    /// As [`Inventory::earlier_progress`].
    pub(super) until_ms: BTreeMap<String, i64>,
}

impl Stored {
    pub(super) fn read(
        opened: Result<Arc<dyn Inventory>, InventoryOpenError>,
    ) -> Result<Self, InventoryOpenError> {
        let inventory = opened?;
        Ok(Self {
            contents: InventoryContents::read(&*inventory)?,
            inventory: Ok(inventory),
        })
    }

    /// What is known without the inventory.
    pub(super) fn unknown(fault: InventoryFault) -> Self {
        Self {
            inventory: Err(fault),
            contents: InventoryContents::default(),
        }
    }
}

impl InventoryContents {
    pub(super) fn read(inventory: &dyn Inventory) -> Result<Self, InventoryError> {
        let sources = inventory.alert_sources()?.into_iter();
        Ok(Self {
            alert_sources: Arc::new(sources.map(|one| (one.storage_id, one)).collect()),
            registered: inventory.storages()?,
            until_ms: inventory.earlier_progress()?,
        })
    }
}

impl Storages {
    /// Reads or changes the inventory, outside of the async workers.
    pub(super) async fn with_inventory<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Inventory) -> Result<T, InventoryError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let inventory = self.inventory()?;
        let done = panics::spawn_blocking(move || work(&*inventory)).await;
        let done = done.map_err(|error| StorageError::Inventory {
            log: error.to_string(),
        })?;
        let done = done?;
        // The file may have been removed meanwhile, and the change with it.
        self.inventory()?;
        Ok(done)
    }
}

/// Logs why the inventory cannot be used. A database that is away is asked again without a reload.
pub(super) fn report(error: &InventoryOpenError) -> InventoryFault {
    let fault = InventoryFault::from(error);
    let until = if fault == InventoryFault::Database {
        "the database answers"
    } else {
        "the inventory is repaired and the configuration is reloaded"
    };
    log::error!("registered storages are unknown until {until}: {error}");
    fault
}
