//! Alert sources by the address of the sender.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use tokio::net::lookup_host;
use uuid::Uuid;

use super::{engine::octets, keys::UserKeys};
use crate::{
    inventory::{AlertSource, SnmpConfig},
    storages::AlertSources,
};

/// An alert source, ready for messages.
#[derive(Debug)]
pub(super) struct TrapSender {
    pub(super) storage_id: Uuid,
    pub(super) snmp: SnmpConfig,
    /// None without authentication.
    pub(super) keys: Option<UserKeys>,
    /// The engine of the sender, if it is known.
    pub(super) engine_id: Option<Vec<u8>>,
}

/// Which names are resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    All,
    /// Those whose address is unknown.
    New,
}

/// All alert sources, by exact address. Several can have one address: their credentials tell
/// them apart.
#[derive(Clone, Debug, Default)]
pub(super) struct SenderTable {
    by_address: HashMap<IpAddr, Vec<Arc<TrapSender>>>,
    by_storage: HashMap<Uuid, (AlertSource, Arc<TrapSender>, Vec<IpAddr>)>,
    has_names: bool,
}

impl SenderTable {
    /// The alert sources with this address.
    pub(super) fn at(&self, address: IpAddr) -> &[Arc<TrapSender>] {
        let found = self.by_address.get(&address.to_canonical());
        found.map_or(&[], Vec::as_slice)
    }

    /// Whether an alert source has a name, whose address can change.
    pub(super) fn has_names(&self) -> bool {
        self.has_names
    }

    /// The table after a change. Keys of unchanged alert sources are not derived again.
    pub(super) async fn updated(&self, sources: &AlertSources, lookup: Lookup) -> Self {
        let mut table = Self::default();
        for source in sources.values() {
            let known = self.by_storage.get(&source.storage_id);
            let unchanged = known.filter(|(known, ..)| known == source);
            let sender = match unchanged {
                Some((_, sender, _)) => Arc::clone(sender),
                None => match new_sender(source.clone()).await {
                    Some(sender) => Arc::new(sender),
                    None => continue,
                },
            };
            let addresses = match source.snmp.host.parse::<IpAddr>() {
                Ok(address) => vec![address],
                Err(_) => {
                    table.has_names = true;
                    let earlier = unchanged.map(|(.., addresses)| addresses.clone());
                    let earlier = earlier.unwrap_or_default();
                    if lookup == Lookup::New && !earlier.is_empty() {
                        earlier
                    } else {
                        resolve(source, earlier).await
                    }
                }
            };
            for address in &addresses {
                let senders = table.by_address.entry(address.to_canonical()).or_default();
                senders.push(Arc::clone(&sender));
            }
            let entry = (source.clone(), sender, addresses);
            table.by_storage.insert(source.storage_id, entry);
        }
        table
    }
}

async fn new_sender(source: AlertSource) -> Option<TrapSender> {
    let AlertSource {
        storage_id, snmp, ..
    } = source;
    let make = move || {
        let keys = UserKeys::new(&snmp)?;
        Ok::<_, async_snmp::CryptoError>(TrapSender {
            storage_id,
            keys,
            engine_id: snmp.engine_id.as_deref().and_then(octets),
            snmp,
        })
    };
    match tokio::task::spawn_blocking(make).await {
        Ok(Ok(sender)) => Some(sender),
        Ok(Err(error)) => {
            log::error!(storage:% = storage_id, error:%; "traps of a storage are refused: its keys cannot be used");
            None
        }
        Err(error) => {
            log::error!(storage:% = storage_id, error:%; "traps of a storage are refused");
            None
        }
    }
}

/// The addresses of a name; those from before if it cannot be resolved now.
async fn resolve(source: &AlertSource, earlier: Vec<IpAddr>) -> Vec<IpAddr> {
    let host = &source.snmp.host;
    if host.is_empty() {
        return earlier;
    }
    match lookup_host((host.as_str(), 0)).await {
        Ok(found) => found.map(|address| address.ip()).collect(),
        Err(error) => {
            log::warn!(storage:% = source.storage_id, host = host, error:%; "the name of an alert source cannot be resolved");
            earlier
        }
    }
}
