//! Seals all secrets with another key.
//!
//! Promises: after a crash at any point, one of the keys opens all secrets, and the next start
//! finds it. A key of the state folder is written under another name first. Then one transaction
//! seals everything again, and then the key gets its name.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, params};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    super::{
        error::{InventoryError, RekeyError},
        key_place::KeyPlace,
        seal::Sealer,
    },
    SealedStore, source_owner, unavailable,
};
use crate::{inventory::InventoryOpenError, platform::rename_durable};

/// A column with sealed texts.
struct SealedColumn {
    select: &'static str,
    update: &'static str,
    /// The owner of the text of a row.
    owner: fn(Uuid) -> Vec<u8>,
}

const COLUMNS: [SealedColumn; 2] = [
    SealedColumn {
        select: "SELECT id, access FROM storages",
        update: "UPDATE storages SET access = ?2 WHERE id = ?1",
        owner: |id| id.as_bytes().to_vec(),
    },
    SealedColumn {
        select: "SELECT storage_id, snmp FROM alert_sources",
        update: "UPDATE alert_sources SET snmp = ?2 WHERE storage_id = ?1",
        owner: source_owner,
    },
];

/// A sealed text.
pub(super) struct SealedText {
    column: &'static SealedColumn,
    id: Uuid,
    text: Vec<u8>,
}

/// Opens the key, also after a crash while it was replaced. Creates a missing one in the state
/// folder, unless secrets exist that need the old one.
pub(super) fn open_key(
    place: &KeyPlace,
    connection: &Connection,
) -> Result<Sealer, InventoryOpenError> {
    let texts = texts(connection).map_err(InventoryError::from)?;
    let path = match place {
        KeyPlace::File(path) => return Sealer::read(path),
        KeyPlace::Credential(path) => return Sealer::read_credential(path),
        KeyPlace::State(path) => path,
    };
    let next = next(path);
    let failed = |error| InventoryOpenError::Key {
        path: next.clone(),
        error,
    };
    if next.exists() {
        let opens = |sealer: &Sealer| texts.iter().all(|one| one.unseal(sealer).is_ok());
        let is_needed = !Sealer::read(path).is_ok_and(|sealer| opens(&sealer));
        if is_needed && opens(&Sealer::read(&next)?) {
            put_in_place(&next, path).map_err(failed)?;
            log::info!("the key of the inventory was replaced, which the host had not finished");
        } else if !is_needed {
            fs::remove_file(&next).map_err(failed)?;
        }
    }
    Sealer::open(path, !texts.is_empty())
}

/// Returns the number of texts that were sealed again.
pub(super) fn rekey(
    store: &mut SealedStore,
    place: &KeyPlace,
    key_file: Option<&Path>,
) -> Result<usize, RekeyError> {
    match (place, key_file) {
        (KeyPlace::State(path), None) => {
            let next = next(path);
            let failed = |error| InventoryOpenError::Key {
                path: next.clone(),
                error,
            };
            let texts = seal_again(store, Sealer::create(&next).map_err(failed)?)?;
            put_in_place(&next, path).map_err(failed)?;
            Ok(texts)
        }
        (KeyPlace::File(path) | KeyPlace::Credential(path), None) => {
            Err(RekeyError::KeyRequired { path: path.clone() })
        }
        (place, Some(file)) => {
            let texts = seal_again(store, Sealer::read(file)?)?;
            if let KeyPlace::State(path) = place
                && let Err(error) = fs::remove_file(path)
            {
                log::warn!(key:% = path.display(); "cannot remove the old key of the inventory: {error}");
            }
            Ok(texts)
        }
    }
}

fn seal_again(store: &mut SealedStore, sealer: Sealer) -> Result<usize, RekeyError> {
    let texts = texts(&store.connection)?;
    let transaction = store.connection.transaction()?;
    for one in &texts {
        let plain = one.unseal(&store.sealer)?;
        let owner = (one.column.owner)(one.id);
        let sealed = sealer.seal(&owner, &plain).map_err(unavailable)?;
        transaction.execute(one.column.update, params![one.id, sealed])?;
    }
    transaction.commit()?;
    store.sealer = sealer;
    forget_old(&store.connection);
    Ok(texts.len())
}

pub(super) fn texts(connection: &Connection) -> rusqlite::Result<Vec<SealedText>> {
    let mut texts = Vec::new();
    for column in &COLUMNS {
        let mut statement = connection.prepare(column.select)?;
        let rows = statement.query_map([], |row| {
            Ok(SealedText {
                column,
                id: row.get(0)?,
                text: row.get(1)?,
            })
        })?;
        texts.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    Ok(texts)
}

impl SealedText {
    pub(super) fn unseal(&self, sealer: &Sealer) -> Result<Zeroizing<Vec<u8>>, InventoryError> {
        let id = self.id;
        let plain = sealer.unseal(&(self.column.owner)(id), &self.text);
        plain.map_err(|_| InventoryError::Sealed { id })
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

fn next(path: &Path) -> PathBuf {
    path.with_extension("key.next")
}

fn put_in_place(next: &Path, path: &Path) -> io::Result<()> {
    rename_durable(next, path)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::SqliteInventory;
    use super::*;
    use crate::inventory::{
        Inventory,
        conformance::{alert_source, registration},
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
