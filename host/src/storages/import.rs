//! Takes storages over from another system, with their ids.

use super::{StorageError, StorageIdentity, Storages};
use crate::inventory::Registration;

/// What an import does with a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportState {
    /// It is registered, and collected from.
    Imported,
    /// A storage with this id was registered before, and stays as it is.
    Exists,
}

impl Storages {
    /// Registers a storage under its id, without asking it. A storage without a driver is
    /// registered too: it waits for a reload that finds one.
    ///
    /// # Errors
    ///
    /// The id is the one of a declared storage, or the same storage is registered under another
    /// id.
    pub async fn import(
        &self,
        storage: Registration,
        dry_run: bool,
    ) -> Result<ImportState, StorageError> {
        self.inventory()?;
        let _one_at_a_time = self.registering.lock().await;
        let id = storage.id;
        if self.is_declared(&id.to_string()) {
            return Err(StorageError::Declared { id: id.to_string() });
        }
        if self.registered().contains_key(&id) {
            return Ok(ImportState::Exists);
        }
        self.require_new(&StorageIdentity::from(&storage))?;
        if dry_run {
            return Ok(ImportState::Imported);
        }
        let stored = storage.clone();
        self.with_inventory(move |inventory| inventory.add(&stored))
            .await?;
        log::info!(storage:% = id, vendor = storage.vendor, model = storage.model; "storage imported");
        self.collect_from(&storage, None);
        self.registered().insert(id, storage);
        Ok(ImportState::Imported)
    }

    /// Whether a driver exists for a vendor and model.
    #[must_use]
    pub fn has_driver(&self, vendor: &str, model: &str) -> bool {
        self.registry.factory(vendor, model).is_ok()
    }
}
