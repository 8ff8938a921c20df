//! The resources that storages have listed, in a file of their own.
//!
//! Promises: a resource keeps its id for as long as its storage lists it, also over the loss of
//! the file. A list replaces the one before in one transaction. A file that is damaged, or of
//! another version, is replaced by an empty one; the next syncs fill it again, or the database of a cluster does.
//!
//! The file is apart from the registrations, because it can be replaced and they cannot. In a cluster whose hosts share no folder, it
//! is a copy of the lists in the database.

mod cluster_lists;
mod query;
mod write;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;
use uuid::Uuid;

pub use query::{ResourceQuery, ResourceQueryError, SortDirection, sort_keys};

use self::cluster_lists::ClusterLists;
use super::error::InventoryError;
use crate::{
    clock::now_us,
    collect::{ResourceFields, ResourceKind, ResourceList},
    postgres::FencedDatabase,
    sqlite::{Database, DatabaseError, FailureKind},
};

pub(crate) const RESOURCES: Database = Database {
    name: "list of resources",
    schema: include_str!("schema.sql"),
    application_id: 1_145_849_426,
    version: 1,
    migrations: &[],
    tables: &["resources", "lists"],
    create_pragmas: "",
    // What a power failure takes away comes again with the next sync.
    pragmas: "PRAGMA synchronous = NORMAL;",
};

/// The resources of all storages. Calls block on the disk, and changes on the database if there is one.
pub struct ResourceStore {
    path: PathBuf,
    /// `None`: the file alone has the lists.
    cluster: Option<ClusterLists>,
    file: Mutex<ResourceFile>,
}

#[derive(Default)]
struct ResourceFile {
    /// Opened by the first call, and again after an error.
    connection: Option<Connection>,
    /// Whether it has what the database has.
    is_current: bool,
}

/// A resource of a storage, as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredResource {
    pub id: Uuid,
    pub storage_id: String,
    /// First list that had the resource, in microseconds since the Unix epoch.
    pub created_us: i64,
    /// Last list in which a field differed.
    pub updated_us: Option<i64>,
    /// The fields of its kind, and its relation if the kind has one.
    pub fields: ResourceFields,
}

/// The last list of one kind of resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListState {
    pub kind: ResourceKind,
    pub resources: u64,
    /// Last success, in microseconds since the Unix epoch.
    pub listed_us: Option<i64>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

impl ResourceStore {
    /// The file in a state folder that no other host uses.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join("resources.db"),
            cluster: None,
            file: Mutex::default(),
        }
    }

    /// The same file as a copy of the lists in a database.
    #[must_use]
    pub fn in_database(self, database: Arc<FencedDatabase>) -> Self {
        Self {
            cluster: Some(ClusterLists::of(database)),
            ..self
        }
    }

    /// Replaces the list of a kind.
    ///
    /// # Errors
    ///
    /// The file or the database cannot be written.
    pub fn replace(
        &self,
        storage_id: &str,
        kind: ResourceKind,
        list: &ResourceList,
    ) -> Result<(), InventoryError> {
        let now_us = now_us();
        self.with(|connection| write::replace(connection, storage_id, kind, list, now_us))?;
        self.save_in_cluster(storage_id, kind)
    }

    /// Notes why a storage could not be asked for a kind. Its last list stays.
    ///
    /// # Errors
    ///
    /// The file or the database cannot be written.
    pub fn set_error(
        &self,
        storage_id: &str,
        kind: ResourceKind,
        error: &str,
    ) -> Result<(), InventoryError> {
        self.with(|connection| write::set_error(connection, storage_id, kind, error))?;
        self.save_in_cluster(storage_id, kind)
    }

    /// Removes the list of a kind that a storage does not have.
    ///
    /// # Errors
    ///
    /// The file or the database cannot be written.
    pub fn forget(&self, storage_id: &str, kind: ResourceKind) -> Result<(), InventoryError> {
        self.remove_lists(storage_id, &[kind])
    }

    /// Removes everything of a storage.
    ///
    /// # Errors
    ///
    /// The file or the database cannot be written.
    pub fn remove(&self, storage_id: &str) -> Result<(), InventoryError> {
        let kinds: Vec<ResourceKind> = ResourceKind::all().collect();
        self.remove_lists(storage_id, &kinds)
    }

    fn remove_lists(&self, storage_id: &str, kinds: &[ResourceKind]) -> Result<(), InventoryError> {
        self.with(|connection| write::remove(connection, storage_id, kinds))?;
        let cluster = self.cluster.as_ref();
        cluster.map_or(Ok(()), |cluster| cluster.remove(storage_id, kinds))
    }

    /// Puts the list of a kind into the database, as it is in the file.
    fn save_in_cluster(&self, storage_id: &str, kind: ResourceKind) -> Result<(), InventoryError> {
        let Some(cluster) = &self.cluster else {
            return Ok(());
        };
        let list = self.with(|connection| query::list(connection, storage_id, kind))?;
        cluster.save(&list)
    }

    /// Removes everything of storages that are not among these.
    ///
    /// # Errors
    ///
    /// The file or the database cannot be written.
    pub fn retain(&self, storages: &[String]) -> Result<(), InventoryError> {
        for storage_id in self.with(|connection| query::storages(connection))? {
            if !storages.contains(&storage_id) {
                self.remove(&storage_id)?;
            }
        }
        Ok(())
    }

    /// The resources that a query selects, in its order.
    ///
    /// # Errors
    ///
    /// The query is invalid, or the file cannot be read.
    pub fn select(&self, query: &ResourceQuery) -> Result<Vec<StoredResource>, ResourceQueryError> {
        let statement = query.statement()?;
        self.with(|connection| statement.run(connection))?
    }

    /// One resource.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn find(
        &self,
        kind: ResourceKind,
        id: Uuid,
    ) -> Result<Option<StoredResource>, InventoryError> {
        self.with(|connection| query::find(connection, kind, id))
    }

    /// Passes the fields of each resource of a storage on, in any order.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn visit(
        &self,
        storage_id: &str,
        kind: ResourceKind,
        mut visit: impl FnMut(&ResourceFields),
    ) -> Result<(), InventoryError> {
        self.with(|connection| query::visit(connection, storage_id, kind, &mut visit))
    }

    /// The last list of each kind that a storage was asked for.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn lists(&self, storage_id: &str) -> Result<Vec<ListState>, InventoryError> {
        self.with(|connection| query::lists(connection, storage_id))
    }

    /// Uses the connection. Replaces the file if it is damaged, and tries again.
    fn with<T>(
        &self,
        mut work: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, InventoryError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut opened = match file.connection.take() {
            Some(opened) => opened,
            None => self.open(&mut file)?,
        };
        let result = match work(&mut opened) {
            Err(error) if FailureKind::of(&error) == FailureKind::Damaged => {
                drop(opened);
                opened = self.rebuilt(&error, &mut file)?;
                work(&mut opened)
            }
            result => result,
        };
        // After an error, the next call opens the file again.
        file.connection = result.is_ok().then_some(opened);
        Ok(result?)
    }

    fn open(&self, file: &mut ResourceFile) -> Result<Connection, InventoryError> {
        match RESOURCES.open(&self.path, |_| Ok(())) {
            Ok((connection, ())) => self.filled(connection, file),
            Err(error @ DatabaseError::Version { .. }) => self.rebuilt(&error, file),
            Err(error) if error.kind() == FailureKind::Damaged => self.rebuilt(&error, file),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Gives the file what the database has, unless it has that already.
    fn filled(
        &self,
        mut connection: Connection,
        file: &mut ResourceFile,
    ) -> Result<Connection, InventoryError> {
        if let Some(cluster) = &self.cluster
            && !file.is_current
        {
            write::replace_all(&mut connection, &cluster.load()?)?;
            file.is_current = true;
        }
        Ok(connection)
    }

    /// An empty file in place of one that cannot be used. SQLite reports a read that failed as
    /// damage, so the disk is asked first.
    fn rebuilt(
        &self,
        reason: &dyn std::fmt::Display,
        file: &mut ResourceFile,
    ) -> Result<Connection, InventoryError> {
        let checked = RESOURCES.check_disk(&self.path);
        let removed = checked.and_then(|()| RESOURCES.remove(&self.path));
        removed.map_err(|error| unavailable(&error))?;
        log::warn!(reason:%; "list of resources replaced by an empty one, which is filled again");
        file.is_current = false;
        let opened = RESOURCES.open(&self.path, |_| Ok(()));
        let (connection, ()) = opened.map_err(|error| unavailable(&error))?;
        self.filled(connection, file)
    }
}

fn unavailable(error: &DatabaseError) -> InventoryError {
    InventoryError::Unavailable {
        reason: error.to_string(),
    }
}

impl std::fmt::Debug for ResourceStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResourceStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
