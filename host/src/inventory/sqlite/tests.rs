use serde_json::json;

use super::*;
use crate::collect::{StorageDetails, StorageInfo};

fn registration() -> Registration {
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
        created_us: 5,
        updated_us: None,
    }
}

fn open(folder: &tempfile::TempDir) -> Result<SqliteInventory, InventoryOpenError> {
    SqliteInventory::open(folder.path())
}

#[test]
fn registrations_survive_a_restart_until_they_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let storage = registration();
    open(&folder).unwrap().add(&storage).unwrap();
    let inventory = open(&folder).unwrap();
    assert_eq!(
        inventory.storages().unwrap(),
        std::slice::from_ref(&storage)
    );
    let schedule = PerformanceSchedule {
        enabled: false,
        interval: Duration::from_millis(1_500),
        backfill: true,
    };
    assert!(inventory.set_schedule(storage.id, &schedule, 7).unwrap());
    let changed = Registration {
        schedule,
        updated_us: Some(7),
        ..storage
    };
    drop(inventory);
    let inventory = open(&folder).unwrap();
    assert_eq!(
        inventory.storages().unwrap(),
        std::slice::from_ref(&changed)
    );
    assert!(inventory.remove(changed.id).unwrap());
    assert!(!inventory.remove(changed.id).unwrap());
    assert_eq!(inventory.storages().unwrap(), []);
}

#[test]
fn no_byte_of_the_access_data_is_readable_in_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = open(&folder).unwrap();
    inventory.add(&registration()).unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for secret in ["hunter2-long", "10.0.0.1"] {
            let found = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
    assert!(!format!("{:?}", registration()).contains("hunter2"));
}

#[test]
fn a_lost_key_and_a_wrong_key_are_errors_that_name_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder).unwrap().add(&registration()).unwrap();
    let key = folder.path().join("inventory.key");
    std::fs::remove_file(&key).unwrap();
    let error = open(&folder).err().unwrap();
    assert!(
        matches!(error, InventoryOpenError::KeyMissing { .. }),
        "{error}"
    );
    let other = tempfile::tempdir().unwrap();
    open(&other).unwrap();
    std::fs::copy(other.path().join("inventory.key"), &key).unwrap();
    let error = open(&folder).err().unwrap().to_string();
    assert!(error.contains("does not open the access data"), "{error}");
}

#[test]
fn progress_is_stored_and_removed_with_its_storage() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = open(&folder).unwrap();
    let storage = registration();
    inventory.add(&storage).unwrap();
    let progress = BTreeMap::from([(storage.id.to_string(), 9), ("declared".to_owned(), 3)]);
    inventory.set_progress(&progress).unwrap();
    assert_eq!(inventory.progress().unwrap(), progress);
    inventory.remove(storage.id).unwrap();
    assert_eq!(inventory.progress().unwrap().len(), 1);
}

#[test]
fn another_programs_file_and_a_newer_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder).unwrap());
    let file = Connection::open(folder.path().join("inventory.db")).unwrap();
    file.pragma_update(None, "user_version", 2).unwrap();
    let error = open(&folder).err().unwrap().to_string();
    assert!(
        error.contains("schema version 2, this host needs 1"),
        "{error}"
    );
    file.pragma_update(None, "application_id", 1).unwrap();
    let error = open(&folder).err().unwrap().to_string();
    assert!(
        error.contains("is not an inventory of delfin-host"),
        "{error}"
    );
}
