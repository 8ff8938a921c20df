//! Whether two storages are one.

use std::fmt;

use serde_json::Value;
use uuid::Uuid;

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

/// A registered storage that a new one would be again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredTwin {
    id: Uuid,
    name: String,
    /// What both have; `None`: the access data.
    serial_number: Option<String>,
}

impl RegisteredTwin {
    /// `None` if the new storage is another one.
    pub(super) fn find<'a>(
        mut registered: impl Iterator<Item = &'a Registration>,
        new: &StorageIdentity<'_>,
    ) -> Option<Self> {
        registered.find_map(|one| {
            let identity = StorageIdentity::from(one);
            let has_serial_number = identity.has_serial_number_of(new);
            identity.is(new).then(|| Self {
                id: one.id,
                name: one.info.name.clone(),
                serial_number: has_serial_number.then(|| one.info.serial_number.clone()),
            })
        })
    }
}

impl fmt::Display for RegisteredTwin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, .. } = self;
        match &self.serial_number {
            Some(serial_number) => {
                write!(
                    f,
                    "`{id}`, `{name}`, has the serial number `{serial_number}`, too"
                )?;
            }
            None => write!(f, "`{id}`, `{name}`, has the same access data")?,
        }
        write!(
            f,
            " (keep it, or remove it first: `delfin-host storages remove {id}`)"
        )
    }
}

impl StorageIdentity<'_> {
    /// Whether a new storage has the same driver, name and address. User names and passwords make no difference.
    fn has_address_of(&self, new: &StorageIdentity<'_>) -> bool {
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
        self.has_serial_number_of(new) || self.has_address_of(new)
    }

    /// Whether a new storage has the same serial number, if that is known.
    fn has_serial_number_of(&self, new: &StorageIdentity<'_>) -> bool {
        !new.serial_number.is_empty() && self.serial_number == new.serial_number
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
