//! Checks an inventory file, and whether a key opens its secrets. Changes nothing.

use std::path::Path;

use super::{INVENTORY, rekey};
use crate::{
    inventory::{InventoryOpenError, seal::Sealer},
    sqlite::{DatabaseError, FailureKind, integrity},
};

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct SecretCheck {
    /// Secrets of the file.
    pub(crate) secrets: u64,
    /// Whether a key was there to open them.
    pub(crate) has_key: bool,
    pub(crate) faults: Vec<String>,
}

impl SecretCheck {
    /// Checks the file, and its secrets if the key exists.
    pub(crate) fn of(path: &Path, key: &Path) -> Result<Self, DatabaseError> {
        let (connection, version) = INVENTORY.open_reader(path)?;
        let mut check = Self::default();
        let faults = integrity(&connection).map_err(|error| INVENTORY.error(path, error))?;
        check.faults = faults;
        // The secrets of an older version are found after its migration.
        if version != INVENTORY.version || !check.faults.is_empty() {
            return Ok(check);
        }
        let texts = match rekey::texts(&connection) {
            Ok(texts) => texts,
            Err(error) if FailureKind::of(&error) == FailureKind::Damaged => {
                check.faults.push(error.to_string());
                return Ok(check);
            }
            Err(error) => return Err(INVENTORY.error(path, error)),
        };
        check.secrets = texts.len() as u64;
        let sealer = match Sealer::read(key) {
            Ok(sealer) => sealer,
            Err(InventoryOpenError::KeyMissing { .. }) => return Ok(check),
            Err(error) => {
                check.faults.push(error.to_string());
                return Ok(check);
            }
        };
        check.has_key = true;
        let closed = texts.iter().filter_map(|text| text.unseal(&sealer).err());
        check.faults.extend(closed.map(|error| error.to_string()));
        Ok(check)
    }
}
