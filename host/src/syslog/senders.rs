//! Which storage an address belongs to.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{net::lookup_host, time::timeout};
use uuid::Uuid;

use super::stats::SyslogRefusal;
use crate::storages::Storages;

/// How often the addresses of storages are read, and names resolved, again.
const REFRESH_INTERVAL: Duration = Duration::from_secs(10);
/// The longest wait for one name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The storages by address, as of the last refresh. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct SenderAddresses(Arc<RwLock<AddressTable>>);

#[derive(Debug, Default)]
struct AddressTable {
    by_address: HashMap<IpAddr, Vec<SenderStorage>>,
    /// What names resolved to, for when they do not resolve.
    resolved: HashMap<String, Vec<IpAddr>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SenderStorage {
    id: Uuid,
    name: String,
}

impl SenderAddresses {
    /// Keeps the addresses up to date. `configured` has those of `syslog.senders`.
    pub(super) async fn follow(self, storages: Arc<Storages>, configured: BTreeMap<IpAddr, Uuid>) {
        loop {
            tokio::time::sleep(REFRESH_INTERVAL).await;
            self.refresh(&storages, &configured).await;
        }
    }

    pub(super) async fn refresh(&self, storages: &Storages, configured: &BTreeMap<IpAddr, Uuid>) {
        let names = storages.names();
        let mut table = AddressTable::default();
        for (host, id) in storages.addresses() {
            let addresses = match host.parse() {
                Ok(address) => vec![address],
                Err(_) => {
                    let addresses = self.resolve(&host).await;
                    table.resolved.insert(host, addresses.clone());
                    addresses
                }
            };
            for address in addresses {
                table.add(address, id, &names);
            }
        }
        for (address, id) in configured {
            // What the configuration says is not ambiguous.
            table.by_address.remove(&address.to_canonical());
            table.add(*address, *id, &names);
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = table;
    }

    /// Whether a storage has this address.
    pub(super) fn is_known(&self, address: IpAddr) -> bool {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        table.by_address.contains_key(&address.to_canonical())
    }

    /// The storage that has sent a message. Of several with one address, the one whose name the
    /// message has.
    pub(super) fn storage_of(
        &self,
        address: IpAddr,
        hostname: &str,
    ) -> Result<Uuid, SyslogRefusal> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match table
            .by_address
            .get(&address.to_canonical())
            .map(Vec::as_slice)
        {
            None | Some([]) => Err(SyslogRefusal::UnknownSender),
            Some([only]) => Ok(only.id),
            Some(several) => {
                let mut several = several.iter();
                let named = several.find(|one| one.name.eq_ignore_ascii_case(hostname));
                named
                    .map(|one| one.id)
                    .ok_or(SyslogRefusal::AmbiguousSender)
            }
        }
    }

    /// The addresses of a name; those from before if it cannot be resolved now.
    async fn resolve(&self, host: &str) -> Vec<IpAddr> {
        match timeout(RESOLVE_TIMEOUT, lookup_host((host, 0))).await {
            Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
            Ok(Err(_)) | Err(_) => {
                log::debug!(host; "the name of a storage cannot be resolved");
                let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
                table.resolved.get(host).cloned().unwrap_or_default()
            }
        }
    }
}

impl AddressTable {
    /// Adds a storage, unless it was removed.
    fn add(&mut self, address: IpAddr, id: Uuid, names: &HashMap<Uuid, String>) {
        let Some(name) = names.get(&id).cloned() else {
            return;
        };
        let of_address = self.by_address.entry(address.to_canonical()).or_default();
        if !of_address.iter().any(|one| one.id == id) {
            of_address.push(SenderStorage { id, name });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_storages_with_one_address_the_one_that_the_message_names_has_sent_it() {
        let [one, two] = [1, 2].map(Uuid::from_u128);
        let names = HashMap::from([(one, "array-1".to_owned()), (two, "array-2".to_owned())]);
        let [shared, own, unknown] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
            .map(|address| address.parse::<IpAddr>().unwrap());
        let mut table = AddressTable::default();
        for (address, id) in [(shared, one), (shared, two), (own, one), (own, one)] {
            table.add(address, id, &names);
        }
        // It was removed.
        table.add(unknown, Uuid::from_u128(3), &names);
        let senders = SenderAddresses(Arc::new(RwLock::new(table)));
        let found = |address: IpAddr, name: &str| senders.storage_of(address, name);
        assert_eq!(found(shared, "ARRAY-2"), Ok(two));
        assert_eq!(found(shared, ""), Err(SyslogRefusal::AmbiguousSender));
        assert_eq!(found(own, "anything"), Ok(one));
        // The address of an IPv4 sender at a socket for both versions of IP.
        assert_eq!(found("::ffff:192.0.2.2".parse().unwrap(), ""), Ok(one));
        assert_eq!(found(unknown, "array-1"), Err(SyslogRefusal::UnknownSender));
    }
}
