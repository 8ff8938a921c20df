//! The lists in the database of a cluster, so that the host that takes over has them.
//!
//! The file of a host is a copy of them for queries.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    collect::ResourceKind,
    inventory::{InventoryError, error::json_text},
    postgres::{FencedDatabase, SqlValue, StoreError, text},
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
    /// An object.
    pub(super) fields: Box<RawValue>,
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
        Ok(lists?)
    }

    pub(super) fn save(&self, list: &StoredList) -> Result<(), InventoryError> {
        const SAVE: &str = "INSERT INTO delfin_resource_lists VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (lease, storage_id, kind) DO UPDATE
             SET resources = excluded.resources, listed_us = excluded.listed_us, error = excluded.error";
        let values: Vec<SqlValue> = vec![
            Box::new(text(&list.storage_id)),
            Box::new(list.kind.clone()),
            Box::new(json_text(&list.resources)?),
            Box::new(list.listed_us),
            Box::new(list.error.as_deref().map(text)),
        ];
        Ok(self.0.execute(SAVE, values).map(drop)?)
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
        let values: Vec<SqlValue> = vec![Box::new(text(storage_id)), Box::new(kinds)];
        Ok(self.0.execute(REMOVE, values).map(drop)?)
    }
}
