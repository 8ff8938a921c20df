//! The alert sources of storages: from where they send SNMP traps, and with which credentials.
//!
//! The receiver of traps watches them, and tells which it uses: a change is answered when it is in effect.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

use super::{StorageError, Storages};
use crate::{
    clock::now_us,
    inventory::{AlertSource, Inventory, SnmpConfig, SnmpVersion},
};

/// All alert sources, by storage.
pub type AlertSources = Arc<BTreeMap<Uuid, AlertSource>>;

/// How long the answer to a change waits for the receiver of traps.
const USE_TIMEOUT: Duration = Duration::from_secs(10);

/// Tells which alert sources the receiver of traps uses, until the receiver ends.
#[derive(Debug)]
pub struct UsedAlertSources(watch::Sender<Option<AlertSources>>);

impl UsedAlertSources {
    pub fn set(&self, sources: AlertSources) {
        self.0.send_replace(Some(sources));
    }
}

impl Drop for UsedAlertSources {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

impl Storages {
    /// Sets the alert source of a storage, and returns when it is in effect. Of an earlier one, the port, the
    /// context name, the two settings of requests and the engine stay unless they are given.
    ///
    /// # Errors
    ///
    /// The storage does not exist.
    pub async fn set_alert_source(
        &self,
        id: &str,
        snmp: SnmpConfig,
    ) -> Result<AlertSource, StorageError> {
        self.inventory()?;
        let storage_id = self.get(id)?.id;
        let one_at_a_time = self.registering.lock().await;
        let earlier = self.alert_sources.borrow().get(&storage_id).cloned();
        let source = match earlier {
            Some(earlier) => AlertSource {
                storage_id,
                snmp: over(snmp, earlier.snmp),
                created_us: earlier.created_us,
                updated_us: Some(now_us()),
            },
            None => AlertSource {
                storage_id,
                snmp,
                created_us: now_us(),
                updated_us: None,
            },
        };
        let stored = source.clone();
        self.with_inventory(move |inventory| inventory.set_alert_source(&stored))
            .await?;
        log::info!(storage:% = storage_id, host = source.snmp.host; "alert source set");
        self.use_alert_source(source.clone());
        drop(one_at_a_time);
        self.wait_until_used(storage_id).await;
        Ok(source)
    }

    /// The alert source of a storage.
    ///
    /// # Errors
    ///
    /// The storage has none.
    pub fn alert_source(&self, id: &str) -> Result<AlertSource, StorageError> {
        let uuid = id.parse::<Uuid>().ok();
        let found = uuid.and_then(|id| self.alert_sources.borrow().get(&id).cloned());
        found.ok_or_else(|| self.no_alert_source(id))
    }

    /// All alert sources, newest first.
    ///
    /// # Errors
    ///
    /// The alert sources are unknown.
    pub fn alert_sources(&self) -> Result<Vec<AlertSource>, StorageError> {
        self.inventory()?;
        let mut all: Vec<_> = self.alert_sources.borrow().values().cloned().collect();
        all.sort_by_key(|one| std::cmp::Reverse((one.created_us, one.storage_id)));
        Ok(all)
    }

    /// Removes the alert source of a storage.
    ///
    /// # Errors
    ///
    /// The storage has none.
    pub async fn remove_alert_source(&self, id: &str) -> Result<(), StorageError> {
        let storage_id = self.alert_source(id)?.storage_id;
        let remove = move |inventory: &dyn Inventory| inventory.remove_alert_source(storage_id);
        let existed = self.with_inventory(remove).await?;
        self.forget_alert_source(storage_id);
        if !existed {
            return Err(self.no_alert_source(id));
        }
        log::info!(storage:% = storage_id; "alert source removed");
        self.wait_until_used(storage_id).await;
        Ok(())
    }

    /// The model that chooses the driver of a storage.
    #[must_use]
    pub fn driver_model(&self, id: Uuid) -> Option<String> {
        let declared = self.declared.iter().find(|one| one.id == id);
        if let Some(declared) = declared {
            return Some(declared.model.clone());
        }
        self.registered().get(&id).map(|one| one.model.clone())
    }

    /// Follows the alert sources.
    #[must_use]
    pub fn watch_alert_sources(&self) -> watch::Receiver<AlertSources> {
        self.alert_sources.subscribe()
    }

    /// For the receiver of traps, to tell which alert sources it uses.
    #[must_use]
    pub fn used_alert_sources(&self) -> UsedAlertSources {
        UsedAlertSources(self.used_sources.clone())
    }

    /// Waits until the receiver of traps, if there is one, uses the present alert source of a storage.
    async fn wait_until_used(&self, storage_id: Uuid) {
        let mut used = self.used_sources.subscribe();
        let is_used = |used: &Option<AlertSources>| {
            let wanted = self.alert_sources.borrow();
            let used = used.as_ref();
            used.is_none_or(|used| used.get(&storage_id) == wanted.get(&storage_id))
        };
        if timeout(USE_TIMEOUT, used.wait_for(is_used)).await.is_err() {
            log::warn!(storage:% = storage_id; "a changed alert source is not in effect yet");
        }
    }

    pub(super) fn use_alert_source(&self, source: AlertSource) {
        self.alert_sources.send_modify(|sources| {
            Arc::make_mut(sources).insert(source.storage_id, source);
        });
    }

    pub(super) fn forget_alert_source(&self, storage_id: Uuid) {
        self.alert_sources
            .send_if_modified(|sources| Arc::make_mut(sources).remove(&storage_id).is_some());
    }

    fn no_alert_source(&self, id: &str) -> StorageError {
        let absent = StorageError::AlertSourceNotFound { id: id.to_owned() };
        self.fault().map_or(absent, StorageError::Unknown)
    }
}

/// `new` with what stays of `earlier`.
fn over(new: SnmpConfig, earlier: SnmpConfig) -> SnmpConfig {
    let engine_id = match new.version {
        SnmpVersion::V3 => new.engine_id.or(earlier.engine_id),
        SnmpVersion::V1 | SnmpVersion::V2c => None,
    };
    SnmpConfig {
        engine_id,
        context_name: new.context_name.or(earlier.context_name),
        port: new.port.or(earlier.port),
        retry_num: new.retry_num.or(earlier.retry_num),
        expiration: new.expiration.or(earlier.expiration),
        ..new
    }
}
