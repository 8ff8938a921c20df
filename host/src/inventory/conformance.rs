//! What holds for every implementation of [`Inventory`]: the tests that it must pass.
//!
//! An implementation calls [`inventory_conformance`] with a [`NewInventory`], and has a test for each of
//! these properties. What is special to it, such as damaged files, it tests itself.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use uuid::Uuid;

use super::{
    AlertSource, Inventory, PerformanceSchedule, Registration, SnmpAuthProtocol, SnmpConfig,
    SnmpPrivacyProtocol, SnmpSecurityLevel, SnmpVersion,
};
use crate::collect::{StaticLabels, StorageDetails, StorageInfo};

/// Opens one inventory, again and again.
pub(super) type OpenInventory = Box<dyn Fn() -> Box<dyn Inventory>>;

/// Makes an empty inventory, whose key the host made.
pub(super) type NewInventory = fn() -> OpenInventory;

/// The part of all secrets of these registrations and alert sources.
pub(super) const SECRET: &str = "hunter2";

pub(super) fn registration() -> Registration {
    let access = json!({"rest": {"host": "10.0.0.1", "username": "u", "password": "hunter2-long"}});
    Registration {
        id: Uuid::now_v7(),
        vendor: "fake_storage".to_owned(),
        model: "fake_driver".to_owned(),
        storage_name: Some("one".to_owned()),
        access: access.as_object().unwrap().clone(),
        info: StorageInfo {
            name: "array".to_owned(),
            vendor: "acme".to_owned(),
            model: "x".to_owned(),
            serial_number: "sn".to_owned(),
            details: StorageDetails::default(),
        },
        schedule: PerformanceSchedule {
            enabled: true,
            interval: Duration::from_secs(60),
            backfill: false,
        },
        labels: Arc::default(),
        created_us: 5,
        updated_us: None,
    }
}

pub(super) fn alert_source(storage_id: Uuid) -> AlertSource {
    AlertSource {
        storage_id,
        snmp: SnmpConfig {
            host: "10.0.0.1".to_owned(),
            version: SnmpVersion::V3,
            community: None,
            username: Some("user-one".to_owned()),
            security_level: Some(SnmpSecurityLevel::AuthPriv),
            auth: Some((SnmpAuthProtocol::Sha256, "hunter2-auth".to_owned())),
            privacy: Some((SnmpPrivacyProtocol::Aes128, "hunter2-privacy".to_owned())),
            engine_id: Some("80001f8804".to_owned()),
            context_name: None,
            port: Some(161),
            retry_num: None,
            expiration: None,
        },
        created_us: 7,
        updated_us: Some(8),
    }
}

pub(super) fn registrations_survive_a_restart_until_they_are_removed(new: NewInventory) {
    let open = new();
    let storage = registration();
    open().add(&storage).unwrap();
    let inventory = open();
    assert_eq!(
        inventory.storages().unwrap(),
        std::slice::from_ref(&storage)
    );
    assert!(inventory.remove(storage.id).unwrap());
    assert!(!inventory.remove(storage.id).unwrap());
    drop(inventory);
    assert_eq!(open().storages().unwrap(), []);
}

pub(super) fn storages_are_listed_from_the_first_to_the_last_that_was_registered(
    new: NewInventory,
) {
    let open = new();
    let inventory = open();
    let created = [3, 1, 2].map(|created_us| Registration {
        created_us,
        ..registration()
    });
    for storage in &created {
        inventory.add(storage).unwrap();
    }
    let listed = inventory.storages().unwrap().into_iter();
    let listed: Vec<i64> = listed.map(|storage| storage.created_us).collect();
    assert_eq!(listed, [1, 2, 3]);
}

pub(super) fn each_part_of_a_registration_changes_by_itself_and_survives_a_restart(
    new: NewInventory,
) {
    let open = new();
    let (storage, other) = (registration(), registration());
    let inventory = open();
    inventory.add(&storage).unwrap();
    inventory.add(&other).unwrap();
    let access = json!({"ssh": {"password": "hunter2 \"\u{1f42c}\\\n"}, "rest": null});
    let labels = [("site".to_owned(), "Hong Kong \u{1f42c}".to_owned())];
    let changed = Registration {
        schedule: PerformanceSchedule {
            enabled: false,
            interval: Duration::from_millis(1_500),
            backfill: true,
        },
        access: access.as_object().unwrap().clone(),
        info: StorageInfo {
            name: "renamed".to_owned(),
            ..storage.info.clone()
        },
        labels: Arc::new(StaticLabels::new(labels.into()).unwrap()),
        updated_us: Some(10),
        ..storage
    };
    let id = changed.id;
    assert!(inventory.set_schedule(id, &changed.schedule, 7).unwrap());
    assert!(inventory.set_access(id, &changed.access, 8).unwrap());
    assert!(inventory.set_info(id, &changed.info, 9).unwrap());
    assert!(inventory.set_labels(id, &changed.labels, 10).unwrap());
    drop(inventory);
    let mut stored = open().storages().unwrap();
    stored.sort_by_key(|storage| storage.id != id);
    assert_eq!(stored, [changed, other]);
}

pub(super) fn a_change_of_an_unknown_storage_says_so_and_adds_nothing(new: NewInventory) {
    let inventory = new()();
    let unknown = registration();
    let changed = [
        inventory.set_schedule(unknown.id, &unknown.schedule, 7),
        inventory.set_access(unknown.id, &unknown.access, 7),
        inventory.set_info(unknown.id, &unknown.info, 7),
        inventory.set_labels(unknown.id, &unknown.labels, 7),
        inventory.remove_alert_source(unknown.id),
        inventory.remove(unknown.id),
    ];
    for changed in changed {
        assert!(!changed.unwrap());
    }
    assert_eq!(inventory.storages().unwrap(), []);
}

pub(super) fn an_alert_source_is_replaced_and_goes_with_its_storage(new: NewInventory) {
    let open = new();
    let inventory = open();
    let storage = registration();
    let declared = alert_source(Uuid::from_u128(1));
    let own = AlertSource {
        created_us: 9,
        ..alert_source(storage.id)
    };
    inventory.add(&storage).unwrap();
    let outdated = AlertSource {
        updated_us: None,
        ..own.clone()
    };
    for source in [&declared, &outdated, &own] {
        inventory.set_alert_source(source).unwrap();
    }
    drop(inventory);
    let inventory = open();
    assert_eq!(inventory.alert_sources().unwrap(), [declared.clone(), own]);
    inventory.remove(storage.id).unwrap();
    let left = inventory.alert_sources().unwrap();
    assert_eq!(left, std::slice::from_ref(&declared));
    assert!(inventory.remove_alert_source(declared.storage_id).unwrap());
    assert!(!inventory.remove_alert_source(declared.storage_id).unwrap());
}

pub(super) fn another_key_opens_everything_that_the_earlier_one_opened(new: NewInventory) {
    let open = new();
    let inventory = open();
    let storage = registration();
    let source = alert_source(storage.id);
    inventory.add(&storage).unwrap();
    inventory.set_alert_source(&source).unwrap();
    assert_eq!(inventory.rekey(None).unwrap(), 2);
    drop(inventory);
    let inventory = open();
    assert_eq!(inventory.storages().unwrap(), [storage]);
    assert_eq!(inventory.alert_sources().unwrap(), [source]);
    assert_eq!(inventory.fault(), None);
}

#[test]
fn secrets_are_not_in_debug_texts() {
    let shown = format!("{:?} {:?}", registration(), alert_source(Uuid::nil()));
    assert!(!shown.contains(SECRET), "{shown}");
}

/// A test for each property, of the inventories that a [`NewInventory`] makes.
macro_rules! inventory_conformance {
    ($new:expr, $is_available:expr) => {
        $crate::inventory::conformance::inventory_conformance! {
            @ $new, $is_available;
            registrations_survive_a_restart_until_they_are_removed, storages_are_listed_from_the_first_to_the_last_that_was_registered, each_part_of_a_registration_changes_by_itself_and_survives_a_restart, a_change_of_an_unknown_storage_says_so_and_adds_nothing, an_alert_source_is_replaced_and_goes_with_its_storage, another_key_opens_everything_that_the_earlier_one_opened
        }
    };
    (@ $new:expr, $is_available:expr; $($property:ident),*) => {
        $(
            #[test]
            fn $property() {
                if $is_available {
                    $crate::inventory::conformance::$property($new);
                }
            }
        )*
    };
}
pub(super) use inventory_conformance;
