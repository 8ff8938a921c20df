//! How far each storage is collected, on its way into the inventory.
//!
//! Gathered and written now and then: after a crash the last seconds are
//! collected again, which is better than a commit for each window.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::inventory::Inventory;

/// What is not in the inventory yet.
pub struct Progress {
    inventory: Arc<dyn Inventory>,
    until_ms: Mutex<BTreeMap<String, i64>>,
}

impl Progress {
    pub(super) fn new(inventory: Arc<dyn Inventory>) -> Self {
        Self {
            inventory,
            until_ms: Mutex::default(),
        }
    }

    /// Notes up to when a storage is collected, in milliseconds since the epoch.
    pub fn note(&self, storage_id: &str, until_ms: i64) {
        self.noted().insert(storage_id.to_owned(), until_ms);
    }

    /// Writes what was noted. Blocks for as long as the disk takes.
    pub fn write(&self) {
        let noted = std::mem::take(&mut *self.noted());
        if noted.is_empty() {
            return;
        }
        if let Err(error) = self.inventory.set_progress(&noted) {
            log::warn!(error:%; "how far storages are collected is not kept, it is tried again");
            let mut newer = self.noted();
            for (id, until_ms) in noted {
                newer.entry(id).or_insert(until_ms);
            }
        }
    }

    pub(super) fn forget(&self, storage_id: &str) {
        self.noted().remove(storage_id);
    }

    fn noted(&self) -> MutexGuard<'_, BTreeMap<String, i64>> {
        self.until_ms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").finish_non_exhaustive()
    }
}
