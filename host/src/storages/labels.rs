//! The labels that the operator gives storages: in the configuration, or over the API.
//!
//! They are no part of the identity of a storage. A change is in effect with the next series and
//! alerts.

use std::{
    collections::BTreeMap,
    sync::{Arc, MutexGuard, PoisonError},
};

use uuid::Uuid;

use super::{StorageError, Storages};
use crate::{clock::now_us, collect::StaticLabels, config::StorageConfig};

/// The labels of declared storages, by their ids.
pub(super) type DeclaredLabels = BTreeMap<Uuid, Arc<StaticLabels>>;

pub(super) fn of_declared(storages: &[StorageConfig]) -> DeclaredLabels {
    let labels = storages.iter().map(|one| (one.id, Arc::clone(&one.labels)));
    labels.collect()
}

impl Storages {
    /// Replaces the labels of a registered storage.
    ///
    /// # Errors
    ///
    /// The storage does not exist, or it is declared.
    pub fn set_labels(&self, id: &str, labels: StaticLabels) -> Result<(), StorageError> {
        let uuid = self.registered_id(id)?;
        let now_us = now_us();
        self.inventory()?.set_labels(uuid, &labels, now_us)?;
        let labels = Arc::new(labels);
        if let Some(storage) = self.registered().get_mut(&uuid) {
            storage.labels = Arc::clone(&labels);
            storage.updated_us = Some(now_us);
        }
        self.apply_labels(uuid, labels);
        Ok(())
    }

    /// Takes over the labels of declared storages from a configuration that was read again.
    pub fn set_declared_labels(&self, configured: &[StorageConfig]) {
        for storage in configured {
            let labels = Arc::clone(&storage.labels);
            let is_changed = match self.declared_labels().get_mut(&storage.id) {
                Some(known) if *known != labels => {
                    *known = Arc::clone(&labels);
                    true
                }
                Some(_) | None => false,
            };
            if is_changed {
                self.apply_labels(storage.id, labels);
            }
        }
    }

    fn apply_labels(&self, id: Uuid, labels: Arc<StaticLabels>) {
        log::info!(storage:% = id; "labels of a storage changed");
        self.scheduler.set_labels(&id.to_string(), labels);
    }

    pub(super) fn declared_labels(&self) -> MutexGuard<'_, DeclaredLabels> {
        self.declared_labels
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
