//! Changes the access data of a registered storage.
//!
//! The storage keeps its id, and so its series and alerts keep their identity. The new access
//! data must lead to the storage with the same serial number.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::time::timeout;

use super::{REQUEST_TIMEOUT, StorageError, Storages};
use crate::{
    clock::now_us,
    collect::identify,
    inventory::{Access, Inventory, Registration},
};

/// What a way of access needs.
const REQUIRED: [(&str, &[&str]); 4] = [
    ("rest", &["host", "port", "username", "password"]),
    ("ssh", &["host", "port", "username", "password", "pub_key"]),
    ("cli", &["host", "username", "password"]),
    ("smis", &["host", "username", "password"]),
];

impl Storages {
    /// Changes the access data of a registered storage, effective at once: the fields of
    /// `change` replace those that the storage has, and all others stay. Returns the changed
    /// registration.
    ///
    /// # Errors
    ///
    /// The storage does not exist or is declared, the access data is not complete, or does not
    /// lead to this storage.
    pub async fn change_access(
        &self,
        id: &str,
        change: Access,
    ) -> Result<Registration, StorageError> {
        let uuid = self.registered_id(id)?;
        self.inventory()?;
        let (access, _one_at_a_time) = loop {
            let current = self.registration(id)?;
            let access = merged(&current.access, change.clone());
            self.check_access(&current, &access).await?;
            let one_at_a_time = self.registering.lock().await;
            // Another change in the meantime stays in effect: this one is merged with it.
            if self.registration(id)?.access == current.access {
                break (access, one_at_a_time);
            }
        };
        let (updated_us, stored) = (now_us(), access.clone());
        let set = move |inventory: &dyn Inventory| inventory.set_access(uuid, &stored, updated_us);
        if !self.with_inventory(set).await? {
            return Err(StorageError::Gone);
        }
        log::info!(storage:% = uuid; "access data changed");
        self.scheduler
            .set_options(&uuid.to_string(), Arc::new(access.clone()));
        let mut registered = self.registered();
        let storage = registered.get_mut(&uuid).ok_or(StorageError::Gone)?;
        storage.access = access;
        storage.updated_us = Some(updated_us);
        Ok(storage.clone())
    }

    /// Checks that access data is complete and leads to the storage.
    async fn check_access(
        &self,
        current: &Registration,
        access: &Access,
    ) -> Result<(), StorageError> {
        require_complete(access)?;
        let factory = self.registry.factory(&current.vendor, &current.model);
        let factory = factory.map_err(|_| StorageError::DriverNotFound {
            driver: format!("{} {}", current.vendor, current.model),
        })?;
        let id = current.id.to_string();
        let identified = identify(factory, id.clone(), access.clone());
        let info = timeout(REQUEST_TIMEOUT, identified)
            .await
            .map_err(|_| StorageError::Timeout)??;
        if info.serial_number != self.get(&id)?.info.serial_number {
            return Err(StorageError::OtherSerialNumber {
                found: info.serial_number,
            });
        }
        Ok(())
    }
}

/// `change` over `current`, field by field of each way of access.
fn merged(current: &Access, change: Access) -> Access {
    let mut merged = current.clone();
    for (way, fields) in change {
        let fields = match fields {
            Value::Object(fields) => fields,
            other => {
                merged.insert(way, other);
                continue;
            }
        };
        let known = merged.entry(way).or_insert_with(|| Map::new().into());
        if let Some(known) = known.as_object_mut() {
            known.extend(fields);
        }
    }
    merged
}

fn require_complete(access: &Access) -> Result<(), StorageError> {
    for (way, required) in REQUIRED {
        let Some(fields) = access.get(way) else {
            continue;
        };
        if let Some(missing) = required.iter().find(|field| fields.get(field).is_none()) {
            return Err(StorageError::AccessIncomplete {
                field: format!("{way}.{missing}"),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn access(value: Value) -> Access {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn fields_that_are_not_given_stay() {
        let current = access(json!({
            "ssh": {"host": "a", "port": 22, "username": "u", "password": "p", "pub_key": "k"},
            "extra_attributes": {"site": "hk"},
        }));
        let change = access(json!({"ssh": {"host": "b", "port": 23, "username": "v"}}));
        let merged = merged(&current, change);
        assert_eq!(
            Value::from(merged.clone()),
            json!({
                "ssh": {"host": "b", "port": 23, "username": "v", "password": "p", "pub_key": "k"},
                "extra_attributes": {"site": "hk"},
            })
        );
        assert_eq!(require_complete(&merged), Ok(()));
    }

    #[test]
    fn a_way_of_access_without_a_password_is_named() {
        let change = access(json!({"ssh": {"host": "b", "port": 23, "username": "v"}}));
        let merged = merged(&access(json!({"rest": {}})), change);
        let field = |field: &str| {
            Err(StorageError::AccessIncomplete {
                field: field.to_owned(),
            })
        };
        assert_eq!(require_complete(&merged), field("rest.host"));
        let mut merged = merged;
        merged.remove("rest");
        assert_eq!(require_complete(&merged), field("ssh.password"));
    }
}
