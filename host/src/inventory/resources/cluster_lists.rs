//! The lists in the database of a cluster, so that the host that takes over has them.
//!
//! The file of a host is a copy of them for queries.

use std::sync::Arc;

use delfin_plugin_api::postgres::tokio_postgres::types::ToSql;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    collect::{ResourceFields, ResourceKind},
    inventory::InventoryError,
    postgres::{FencedDatabase, StoreError, text},
};

/// The lists of a lease. Calls block on the database.
pub(super) struct ClusterLists(Arc<FencedDatabase>);

/// The list of a kind of a storage, as it is stored.
pub(super) struct StoredList {
    pub(super) storage_id: String,
    pub(super) kind: String,
    pub(super) resources: Vec<ListedResource>,
    pub(super) listed_us: Option<i64>,
    pub(super) error: Option<String>,
}

/// A resource of a stored list.
#[derive(Serialize, Deserialize)]
pub(super) struct ListedResource {
    pub(super) id: Uuid,
    pub(super) created_us: i64,
    pub(super) updated_us: Option<i64>,
    pub(super) fields: ResourceFields,
}

impl ClusterLists {
    pub(super) fn of(database: Arc<FencedDatabase>) -> Self {
        Self(database)
    }

    pub(super) fn load(&self) -> Result<Vec<StoredList>, InventoryError> {
        const LISTS: &str =
            "SELECT storage_id, kind, resources, listed_us, error FROM delfin_resource_lists
             WHERE lease = $1";
        let lists = self.0.read(async |client, lease| {
            let rows = client.query(LISTS, &[&lease]).await?;
            let lists = rows.iter().map(|row| {
                Ok(StoredList {
                    storage_id: row.get(0),
                    kind: row.get(1),
                    resources: serde_json::from_str(row.get(2))?,
                    listed_us: row.get(3),
                    error: row.get(4),
                })
            });
            lists.collect::<serde_json::Result<_>>().map_err(|error| {
                StoreError::Content(format!(
                    "a list of resources in the database of the cluster is damaged: {error} (delete its row of `delfin_resource_lists`)"
                ))
            })
        });
        lists.map_err(|reason| InventoryError::Database { reason })
    }

    pub(super) fn save(&self, list: &StoredList) -> Result<(), InventoryError> {
        const SAVE: &str = "INSERT INTO delfin_resource_lists VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (lease, storage_id, kind) DO UPDATE
             SET resources = excluded.resources, listed_us = excluded.listed_us, error = excluded.error";
        let resources = serde_json::to_string(&list.resources);
        let resources = resources.map_err(|error| InventoryError::Database {
            reason: error.to_string(),
        })?;
        let (listed_us, error) = (list.listed_us, list.error.as_deref().map(text));
        let values: Vec<Box<dyn ToSql + Sync + Send>> =
            vec![Box::new(resources), Box::new(listed_us), Box::new(error)];
        self.change(SAVE, &list.storage_id, list.kind.clone(), values)
    }

    /// Removes the lists of these kinds.
    pub(super) fn remove(
        &self,
        storage_id: &str,
        kinds: &[ResourceKind],
    ) -> Result<(), InventoryError> {
        const REMOVE: &str = "DELETE FROM delfin_resource_lists
             WHERE lease = $1 AND storage_id = $2 AND kind = ANY($3)";
        let kinds: Vec<String> = kinds.iter().map(|kind| kind.name().to_owned()).collect();
        self.change(REMOVE, storage_id, kinds, Vec::new())
    }

    /// `$1` is the lease, `$2` the storage, `$3` the kind or the kinds.
    fn change(
        &self,
        statement: &'static str,
        storage_id: &str,
        kind: impl ToSql + Sync + Send + 'static,
        values: Vec<Box<dyn ToSql + Sync + Send>>,
    ) -> Result<(), InventoryError> {
        let storage_id = text(storage_id);
        let changed = self.0.change(async move |tx, lease| {
            let mut all: Vec<&(dyn ToSql + Sync)> = vec![&lease, &storage_id, &kind];
            all.extend(values.iter().map(|value| &**value as &(dyn ToSql + Sync)));
            tx.execute(statement, &all).await?;
            Ok(())
        });
        changed.map_err(|reason| InventoryError::Database { reason })
    }
}
