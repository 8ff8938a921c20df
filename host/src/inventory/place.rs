//! Where the inventory and its key are.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Inventory, ResourceStore,
    error::InventoryOpenError,
    key_place::KeyPlace,
    postgres::PostgresInventory,
    sqlite::{FILE, SqliteInventory},
};
use crate::postgres::FencedDatabase;

/// The name of the key in the state folder, and among the credentials of systemd.
const KEY: &str = "inventory.key";

/// The variable by which systemd tells where the credentials of the service are.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Where the inventory is, and its key.
#[derive(Clone, Debug)]
pub struct InventoryPlace {
    state_dir: PathBuf,
    /// `None`: the inventory is in the state folder.
    database: Option<Arc<FencedDatabase>>,
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
            database: None,
            key,
        }
    }

    /// The same key, with the inventory in the database of a cluster if there is one.
    #[must_use]
    pub fn in_database(self, database: Option<Arc<FencedDatabase>>) -> Self {
        Self { database, ..self }
    }

    /// The resources that storages have listed.
    #[must_use]
    pub fn resources(&self) -> ResourceStore {
        let store = ResourceStore::new(&self.state_dir);
        match &self.database {
            Some(database) => store.in_database(Arc::clone(database)),
            None => store,
        }
    }

    /// Where the key is, or will be created.
    #[must_use]
    pub fn key_path(&self) -> &Path {
        self.key.path()
    }

    /// Opens the inventory; no other host may use its state folder. An inventory that cannot be
    /// opened is not changed, so that it can be repaired.
    ///
    /// # Errors
    ///
    /// The file or the database cannot be read, or its access data cannot be unsealed.
    pub fn open(&self) -> Result<Arc<dyn Inventory>, InventoryOpenError> {
        Ok(match &self.database {
            Some(database) => Arc::new(PostgresInventory::open(Arc::clone(database), &self.key)?),
            None => Arc::new(SqliteInventory::open(&self.state_dir, &self.key)?),
        })
    }

    /// Opens the inventory again. As [`open`](Self::open), but a missing file is an error: it may
    /// be on its way back.
    ///
    /// # Errors
    ///
    /// The file is missing or cannot be read, or its access data cannot be unsealed.
    pub fn reopen(&self) -> Result<Arc<dyn Inventory>, InventoryOpenError> {
        let path = self.state_dir.join(FILE);
        if self.database.is_none() && !path.exists() {
            return Err(InventoryOpenError::Missing { path });
        }
        self.open()
    }
}
