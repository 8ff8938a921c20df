//! Whether two storages are one.

use serde_json::Value;

use super::NewStorage;
use crate::{
    collect::{ACCESS_OPTIONS, EXTRA},
    inventory::{Access, Registration},
};

/// What tells a storage from others.
#[derive(Clone, Copy)]
pub struct StorageIdentity<'a> {
    pub vendor: &'a str,
    pub model: &'a str,
    pub storage_name: Option<&'a str>,
    pub access: &'a Access,
    /// Empty if it is unknown.
    pub serial_number: &'a str,
}

impl StorageIdentity<'_> {
    /// Whether a new storage has the same driver, name and address. User names and passwords make no difference.
    #[must_use]
    pub fn has_address_of(&self, new: &StorageIdentity<'_>) -> bool {
        let address = |access: &Access, kind: &str| {
            let protocol = access.get(kind)?;
            Some((protocol.get("host").cloned(), protocol.get("port").cloned()))
        };
        let extra = |access: &Access| access.get(EXTRA).cloned().unwrap_or(Value::Null);
        let mut given = ACCESS_OPTIONS
            .iter()
            .filter(|kind| **kind != EXTRA && new.access.contains_key(**kind));
        self.vendor == new.vendor
            && self.model == new.model
            && self.storage_name == new.storage_name
            && extra(self.access) == extra(new.access)
            && given.all(|kind| address(self.access, kind) == address(new.access, kind))
    }

    /// Whether a new storage is this one: by its address, or by its serial number.
    #[must_use]
    pub fn is(&self, new: &StorageIdentity<'_>) -> bool {
        let has_serial_number_of =
            !new.serial_number.is_empty() && self.serial_number == new.serial_number;
        has_serial_number_of || self.has_address_of(new)
    }
}

impl<'a> From<&'a Registration> for StorageIdentity<'a> {
    fn from(storage: &'a Registration) -> Self {
        Self {
            vendor: &storage.vendor,
            model: &storage.model,
            storage_name: storage.storage_name.as_deref(),
            access: &storage.access,
            serial_number: &storage.info.serial_number,
        }
    }
}

impl<'a> From<&'a NewStorage> for StorageIdentity<'a> {
    fn from(storage: &'a NewStorage) -> Self {
        Self {
            vendor: &storage.vendor,
            model: &storage.model,
            storage_name: storage.storage_name.as_deref(),
            access: &storage.access,
            serial_number: "",
        }
    }
}
