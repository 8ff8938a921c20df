//! Seals all secrets of the file with another key.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{
    super::{
        error::RekeyError,
        seal::Sealer,
        sealed::{SealedText, SecretKind},
    },
    SealedStore,
};

/// A column with sealed texts.
struct SealedColumn {
    kind: SecretKind,
    select: &'static str,
    update: &'static str,
}

const COLUMNS: [SealedColumn; 2] = [
    SealedColumn {
        kind: SecretKind::Access,
        select: "SELECT id, access FROM storages",
        update: "UPDATE storages SET access = ?2 WHERE id = ?1",
    },
    SealedColumn {
        kind: SecretKind::Snmp,
        select: "SELECT storage_id, snmp FROM alert_sources",
        update: "UPDATE alert_sources SET snmp = ?2 WHERE storage_id = ?1",
    },
];

/// Returns the number of texts.
pub(super) fn seal_again(store: &mut SealedStore, sealer: Sealer) -> Result<usize, RekeyError> {
    let transaction = store.connection.transaction()?;
    let mut texts = 0;
    for column in &COLUMNS {
        for one in column.texts(&transaction)? {
            let sealed = one.seal_again(&store.sealer, &sealer)?;
            transaction.execute(column.update, params![sealed.id, sealed.text])?;
            texts += 1;
        }
    }
    transaction.commit()?;
    store.sealer = sealer;
    forget_old(&store.connection);
    Ok(texts)
}

pub(super) fn texts(connection: &Connection) -> rusqlite::Result<Vec<SealedText>> {
    let mut texts = Vec::new();
    for column in &COLUMNS {
        texts.extend(column.texts(connection)?);
    }
    Ok(texts)
}

impl SealedColumn {
    fn texts(&self, connection: &Connection) -> rusqlite::Result<Vec<SealedText>> {
        let mut statement = connection.prepare(self.select)?;
        let rows = statement.query_map([], |row| {
            Ok(SealedText {
                kind: self.kind,
                id: row.get::<_, Uuid>(0)?,
                text: row.get(1)?,
            })
        })?;
        rows.collect()
    }
}

/// Removes what was sealed with the old key from the log of the database.
fn forget_old(connection: &Connection) {
    let checkpoint = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    if let Err(error) = checkpoint {
        log::warn!(
            "access data that the old key opens stays in the log of the inventory for now: {error}"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::super::SqliteInventory;
    use super::*;
    use crate::inventory::{
        Inventory, InventoryOpenError,
        conformance::{alert_source, registration},
        key_place::{KeyPlace, next},
    };

    fn state(folder: &TempDir) -> KeyPlace {
        KeyPlace::State(folder.path().join("inventory.key"))
    }

    fn open(folder: &TempDir, place: &KeyPlace) -> Result<SqliteInventory, InventoryOpenError> {
        SqliteInventory::open(folder.path(), place)
    }

    /// How many storages the inventory has, once it is opened with the key in the state folder.
    fn stored(folder: &TempDir) -> usize {
        let inventory = open(folder, &state(folder)).unwrap();
        inventory.storages().unwrap().len()
    }

    fn with_storages(folder: &TempDir) -> SqliteInventory {
        let inventory = open(folder, &state(folder)).unwrap();
        for _ in 1..=3 {
            inventory.add(&registration()).unwrap();
        }
        let source = alert_source(Uuid::from_u128(1));
        inventory.set_alert_source(&source).unwrap();
        inventory
    }

    #[test]
    fn access_data_is_sealed_with_the_new_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let inventory = with_storages(&folder);
        let before = inventory.storages().unwrap();
        let old = fs::read(folder.path().join("inventory.key")).unwrap();
        assert_eq!(inventory.rekey(None).unwrap(), 4);
        assert_eq!(inventory.storages().unwrap(), before);
        assert_eq!(inventory.alert_sources().unwrap().len(), 1);
        inventory.add(&registration()).unwrap();
        drop(inventory);
        assert_ne!(fs::read(folder.path().join("inventory.key")).unwrap(), old);
        assert_eq!(stored(&folder), 4);
        fs::write(folder.path().join("inventory.key"), old).unwrap();
        assert!(open(&folder, &state(&folder)).is_err());
    }

    #[test]
    fn a_crash_at_any_point_leaves_a_key_that_opens_everything() {
        let key = |folder: &TempDir| folder.path().join("inventory.key");
        // Before the transaction: the new key opens nothing.
        let folder = tempfile::tempdir().unwrap();
        drop(with_storages(&folder));
        Sealer::create(&next(&key(&folder))).unwrap();
        assert_eq!(stored(&folder), 3);
        assert!(!next(&key(&folder)).exists());
        // After it: the old key opens nothing.
        let folder = tempfile::tempdir().unwrap();
        let inventory = with_storages(&folder);
        let old = fs::read(key(&folder)).unwrap();
        inventory.rekey(None).unwrap();
        drop(inventory);
        fs::rename(key(&folder), next(&key(&folder))).unwrap();
        fs::write(key(&folder), old).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(key(&folder), mode).unwrap();
        assert_eq!(stored(&folder), 3);
        assert!(!next(&key(&folder)).exists());
    }

    #[test]
    fn a_key_outside_of_the_state_folder_takes_over_and_is_never_created() {
        let [folder, outside] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let file = outside.path().join("key");
        let place = KeyPlace::File(file.clone());
        assert!(open(&folder, &place).is_err());
        assert!(!file.exists());
        Sealer::create(&file).unwrap();
        let inventory = with_storages(&folder);
        assert_eq!(inventory.rekey(Some(&file)).unwrap(), 4);
        drop(inventory);
        assert!(!folder.path().join("inventory.key").exists());
        assert!(
            open(&folder, &state(&folder)).is_err(),
            "the key is elsewhere"
        );
        let inventory = open(&folder, &place).unwrap();
        assert_eq!(inventory.storages().unwrap().len(), 3);
        let error = inventory.rekey(None).unwrap_err();
        assert!(matches!(error, RekeyError::KeyRequired { .. }), "{error}");
        let error = inventory
            .rekey(Some(&outside.path().join("none")))
            .unwrap_err();
        assert!(matches!(error, RekeyError::Key(_)), "{error}");
        assert_eq!(inventory.storages().unwrap().len(), 3);
    }
}
