//! Buffers the collection progress of storages on its way into the inventory.
//!
//! The host writes the progress at an interval. After a crash it collects the last
//! seconds again, which costs less than a transaction per window.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::shared_inventory::SharedInventory;

/// The progress that is not in the inventory yet.
pub struct CollectProgress {
    inventory: SharedInventory,
    /// End of the last collected window, by storage id.
    until_ms: Mutex<BTreeMap<String, i64>>,
    /// The same of every storage, whether it is in the inventory or not.
    known: Mutex<BTreeMap<String, i64>>,
}

impl CollectProgress {
    /// While the inventory cannot be used, the progress is not stored.
    pub(super) fn new(inventory: SharedInventory, stored: BTreeMap<String, i64>) -> Self {
        Self {
            inventory,
            until_ms: Mutex::default(),
            known: Mutex::new(stored),
        }
    }

    /// The end of the last collected window of each storage, in milliseconds since the Unix
    /// epoch.
    #[must_use]
    pub fn known(&self) -> BTreeMap<String, i64> {
        lock(&self.known).clone()
    }

    /// Sets the end of the last collected window of a storage, in milliseconds since the
    /// Unix epoch.
    pub fn set(&self, storage_id: &str, until_ms: i64) {
        self.buffer().insert(storage_id.to_owned(), until_ms);
        lock(&self.known).insert(storage_id.to_owned(), until_ms);
    }

    /// Writes the progress to the inventory. Blocks on the disk.
    pub fn write(&self) {
        let Ok(inventory) = self.inventory.get() else {
            return;
        };
        let until_ms = std::mem::take(&mut *self.buffer());
        if until_ms.is_empty() {
            return;
        }
        if let Err(error) = inventory.set_progress(&until_ms) {
            log::warn!(error:%; "cannot write the collection progress, retrying");
            // Put the values back, but not over newer ones.
            let mut buffer = self.buffer();
            for (id, until_ms) in until_ms {
                buffer.entry(id).or_insert(until_ms);
            }
        }
    }

    /// Adds what an inventory has that was opened again, but not over newer values.
    pub(super) fn add_stored(&self, stored: &BTreeMap<String, i64>) {
        let mut known = lock(&self.known);
        for (id, until_ms) in stored {
            known.entry(id.clone()).or_insert(*until_ms);
        }
    }

    pub(super) fn remove(&self, storage_id: &str) {
        self.buffer().remove(storage_id);
        lock(&self.known).remove(storage_id);
    }

    fn buffer(&self) -> MutexGuard<'_, BTreeMap<String, i64>> {
        lock(&self.until_ms)
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for CollectProgress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CollectProgress").finish_non_exhaustive()
    }
}
