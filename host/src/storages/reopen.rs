//! Opens the inventory again, after it could not be used.

use std::collections::BTreeMap;

use super::{
    Storages,
    shared_inventory::{InventoryContents, Stored, report},
};
use crate::inventory::InventoryFault;

impl Storages {
    /// Opens an inventory again that cannot be used, and collects from the storages that it has
    /// now. Returns why it still cannot be used. Does nothing if it can.
    pub async fn reopen_inventory(&self) -> Option<InventoryFault> {
        let _one_at_a_time = self.registering.lock().await;
        let fault = self.fault()?;
        // Closes the old connection before another one opens the same files.
        self.inventory.set(Err(fault));
        match tokio::task::block_in_place(|| Stored::read(self.place.reopen())) {
            Ok(stored) => {
                self.replace_registered(stored);
                None
            }
            Err(error) => {
                let found = InventoryFault::from(&error);
                // The database is asked again and again.
                if found != fault || found != InventoryFault::Database {
                    report(&error);
                }
                self.inventory.set(Err(found));
                Some(found)
            }
        }
    }

    fn replace_registered(&self, stored: Stored) {
        let Stored {
            inventory,
            contents,
        } = stored;
        let InventoryContents {
            registered: stored,
            alert_sources,
            until_ms,
        } = contents;
        let stored: BTreeMap<_, _> = stored.into_iter().map(|one| (one.id, one)).collect();
        log::info!(storages = stored.len(); "the inventory was opened again");
        let mut registered = self.registered();
        for id in registered.keys().filter(|id| !stored.contains_key(id)) {
            self.stop_collecting(*id);
        }
        for (id, storage) in &stored {
            if registered.get(id) != Some(storage) {
                self.collect_from(storage, until_ms.get(&id.to_string()).copied());
            }
        }
        *registered = stored;
        drop(registered);
        self.alert_sources.send_replace(alert_sources);
        self.inventory.set(inventory);
    }
}
