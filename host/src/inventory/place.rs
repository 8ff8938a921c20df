//! Where the inventory and its key are.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Inventory,
    error::InventoryOpenError,
    key_place::KeyPlace,
    sqlite::{FILE, SqliteInventory},
};

/// The name of the key in the state folder, and among the credentials of systemd.
const KEY: &str = "inventory.key";

/// The variable by which systemd tells where the credentials of the service are.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The state folder with the inventory, and its key.
#[derive(Clone, Debug)]
pub struct InventoryPlace {
    state_dir: PathBuf,
    key: KeyPlace,
}

impl InventoryPlace {
    /// The inventory of a state folder. Its key is in `key_file`; without one, it is the
    /// credential `inventory.key` of the service, or else in the state folder.
    #[must_use]
    pub fn new(state_dir: &Path, key_file: Option<&Path>) -> Self {
        let credential = std::env::var_os(CREDENTIALS).map(|folder| Path::new(&folder).join(KEY));
        let credential = credential.filter(|path| path.exists());
        let key = match (key_file, credential) {
            (Some(path), _) => KeyPlace::File(path.to_owned()),
            (None, Some(path)) => KeyPlace::Credential(path),
            (None, None) => KeyPlace::State(state_dir.join(KEY)),
        };
        Self {
            state_dir: state_dir.to_owned(),
            key,
        }
    }

    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Where the key is, or will be created.
    #[must_use]
    pub fn key_path(&self) -> &Path {
        match &self.key {
            KeyPlace::State(path) | KeyPlace::File(path) | KeyPlace::Credential(path) => path,
        }
    }

    /// Opens the inventory; no other host may use its state folder. An inventory that cannot be
    /// opened is not changed, so that it can be repaired.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or its access data cannot be unsealed.
    pub fn open(&self) -> Result<Arc<dyn Inventory>, InventoryOpenError> {
        let opened = SqliteInventory::open(&self.state_dir, &self.key)?;
        Ok(Arc::new(opened))
    }

    /// Opens the inventory again. As [`open`](Self::open), but a missing file is an error: it may
    /// be on its way back.
    ///
    /// # Errors
    ///
    /// The file is missing or cannot be read, or its access data cannot be unsealed.
    pub fn reopen(&self) -> Result<Arc<dyn Inventory>, InventoryOpenError> {
        let path = self.state_dir.join(FILE);
        if path.exists() {
            return self.open();
        }
        Err(InventoryOpenError::Missing { path })
    }
}
