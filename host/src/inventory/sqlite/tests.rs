use super::*;
use crate::inventory::{
    InventoryFault,
    conformance::{OpenInventory, SECRET, alert_source, inventory_conformance, registration},
};

fn new_inventory() -> OpenInventory {
    let folder = tempfile::tempdir().unwrap();
    Box::new(move || Box::new(open(&folder).unwrap()))
}

inventory_conformance!(new_inventory, true);

fn open(folder: &tempfile::TempDir) -> Result<SqliteInventory, InventoryOpenError> {
    let key = KeyPlace::State(folder.path().join("inventory.key"));
    SqliteInventory::open(folder.path(), &key)
}

#[test]
fn no_secret_is_readable_in_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = open(&folder).unwrap();
    inventory.add(&registration()).unwrap();
    let source = alert_source(Uuid::from_u128(1));
    inventory.set_alert_source(&source).unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for secret in [SECRET, "10.0.0.1", "user-one"] {
            let found = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
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

/// An inventory with so many storages that it has pages of more than one kind.
fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let inventory = open(&folder).unwrap();
    for _ in 0..40 {
        inventory.add(&registration()).unwrap();
    }
    folder
}

#[test]
fn a_damaged_file_is_named_as_damaged_and_left_as_it_is() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 6] = [
        ("an empty file", Vec::clear),
        ("half of the file", |bytes| bytes.truncate(bytes.len() / 2)),
        ("the first page only", |bytes| bytes.truncate(4096)),
        ("zeros", |bytes| bytes.fill(0)),
        ("a text", |bytes| *bytes = b"not a database".to_vec()),
        ("a page of rows", |bytes| {
            let end = bytes.len();
            bytes[end - 4096..].fill(0xff);
        }),
    ];
    for (name, damage) in damages {
        let folder = filled();
        let path = folder.path().join("inventory.db");
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        let key = std::fs::read(folder.path().join("inventory.key")).unwrap();
        for _ in 0..2 {
            let error = open(&folder)
                .err()
                .unwrap_or_else(|| panic!("{name} opens"));
            assert!(
                matches!(error, InventoryOpenError::Damaged { .. }),
                "{name}: {error}"
            );
            let text = error.to_string();
            assert!(text.contains("inventory.db` is damaged: "), "{text}");
            assert!(text.ends_with("register the storages again)"), "{text}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}");
        assert_eq!(
            std::fs::read(folder.path().join("inventory.key")).unwrap(),
            key
        );
    }
}

/// Copies the files of an inventory that is open, as they are after a crash: the last rows are
/// in the log.
fn copied(from: &tempfile::TempDir, names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        std::fs::copy(from.path().join(name), folder.path().join(name)).unwrap();
    }
    folder
}

#[test]
fn the_log_of_a_damaged_file_is_not_written_into_it() {
    let source = filled();
    let inventory = open(&source).unwrap();
    inventory.add(&registration()).unwrap();
    let names = ["inventory.db", "inventory.db-wal", "inventory.key"];
    let folder = copied(&source, &names);
    let path = folder.path().join("inventory.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4 * 4096..5 * 4096].fill(0xff);
    std::fs::write(&path, &bytes).unwrap();
    let all = || names.map(|name| std::fs::read(folder.path().join(name)).unwrap());
    let before = all();
    assert!(before[1].len() > 4096);
    let error = open(&folder).err().unwrap();
    assert_eq!(
        InventoryFault::from(&error),
        InventoryFault::Damaged,
        "{error}"
    );
    assert!(all() == before);
}

#[test]
fn a_lost_log_is_not_a_first_start() {
    let source = tempfile::tempdir().unwrap();
    let inventory = open(&source).unwrap();
    inventory.add(&registration()).unwrap();
    let folder = copied(&source, &["inventory.db", "inventory.key"]);
    let error = open(&folder).err().unwrap().to_string();
    assert!(error.contains("is damaged: it has no tables"), "{error}");
}

#[test]
fn a_file_that_was_moved_away_is_created_again_with_the_same_key() {
    let folder = filled();
    let key = std::fs::read(folder.path().join("inventory.key")).unwrap();
    std::fs::remove_file(folder.path().join("inventory.db")).unwrap();
    assert_eq!(open(&folder).unwrap().storages().unwrap(), []);
    assert_eq!(
        std::fs::read(folder.path().join("inventory.key")).unwrap(),
        key
    );
}

#[test]
fn another_programs_file_and_a_newer_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder).unwrap());
    let file = Connection::open(folder.path().join("inventory.db")).unwrap();
    file.pragma_update(None, "user_version", 4).unwrap();
    let error = open(&folder).err().unwrap().to_string();
    assert!(
        error.contains("schema version 4, this host needs 3"),
        "{error}"
    );
    file.pragma_update(None, "application_id", 1).unwrap();
    let error = open(&folder).err().unwrap().to_string();
    assert!(
        error.contains("is not an inventory of delfin-host"),
        "{error}"
    );
}

#[test]
fn a_lost_key_is_missed_although_only_an_alert_source_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let source = alert_source(Uuid::from_u128(1));
    open(&folder).unwrap().set_alert_source(&source).unwrap();
    std::fs::remove_file(folder.path().join("inventory.key")).unwrap();
    let error = open(&folder).err().unwrap();
    assert!(
        matches!(error, InventoryOpenError::KeyMissing { .. }),
        "{error}"
    );
}

#[test]
fn an_inventory_of_version_1_gets_alert_sources_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    let storage = registration();
    open(&folder).unwrap().add(&storage).unwrap();
    let file = Connection::open(folder.path().join("inventory.db")).unwrap();
    let version_1 = "DROP TABLE alert_sources; ALTER TABLE storages DROP COLUMN labels;
        PRAGMA user_version = 1;";
    file.execute_batch(version_1).unwrap();
    drop(file);
    let inventory = open(&folder).unwrap();
    assert_eq!(
        inventory.storages().unwrap(),
        std::slice::from_ref(&storage)
    );
    let source = alert_source(storage.id);
    inventory.set_alert_source(&source).unwrap();
    drop(inventory);
    assert_eq!(open(&folder).unwrap().alert_sources().unwrap(), [source]);
}

#[test]
fn what_a_host_noted_before_its_journal_did_is_read_and_goes_with_its_storage() {
    let folder = tempfile::tempdir().unwrap();
    let storage = registration();
    let inventory = open(&folder).unwrap();
    inventory.add(&storage).unwrap();
    let file = Connection::open(folder.path().join("inventory.db")).unwrap();
    let note = "INSERT INTO progress VALUES (?1, 7)";
    for id in [storage.id.to_string(), "declared".to_owned()] {
        file.execute(note, [id]).unwrap();
    }
    let declared = ("declared".to_owned(), 7);
    let own = (storage.id.to_string(), 7);
    let noted = inventory.earlier_progress().unwrap();
    assert_eq!(noted, [own, declared.clone()].into());
    inventory.remove(storage.id).unwrap();
    assert_eq!(inventory.earlier_progress().unwrap(), [declared].into());
}
