//! From which addresses storages can send by themselves, and how they are named.

use std::collections::HashMap;

use serde_json::Value;
use uuid::Uuid;

use super::Storages;
use crate::collect::ACCESS_OPTIONS;

impl Storages {
    /// Names and addresses with their storage: those of declarations, of access data and of alert
    /// sources. A storage can have several.
    #[must_use]
    pub fn addresses(&self) -> Vec<(String, Uuid)> {
        let declared = self.declared.iter();
        let declared = declared.filter_map(|one| Some((one.host.clone()?, one.id)));
        let mut addresses: Vec<_> = declared.collect();
        for (id, storage) in &*self.registered() {
            let hosts = ACCESS_OPTIONS.iter().filter_map(|kind| {
                let host = storage.access.get(*kind)?.get("host");
                host.and_then(Value::as_str)
            });
            addresses.extend(hosts.map(|host| (host.to_owned(), *id)));
        }
        let sources = self.alert_sources.borrow();
        let sources = sources.values();
        addresses.extend(sources.map(|source| (source.snmp.host.clone(), source.storage_id)));
        addresses.retain(|(host, _)| !host.is_empty());
        addresses.sort();
        addresses.dedup();
        addresses
    }

    /// The name of each storage that is known.
    #[must_use]
    pub fn names(&self) -> HashMap<Uuid, String> {
        let views = self.known().into_iter();
        views.map(|view| (view.id, view.info.name)).collect()
    }
}
