//! Resources as the API shows them.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    api::storages::time,
    collect::ResourceKind,
    inventory::{ListState, StoredResource},
};

/// The kinds of resources that a storage lists.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListResourcesStatesResponse {
    resources: Vec<ListStateView>,
}

/// The last list of a kind of resources.
#[derive(Debug, Serialize, ToSchema)]
struct ListStateView {
    /// The kind, as in the path of its list, with `_` for `-`.
    #[schema(example = "storage_pools")]
    kind: &'static str,
    /// How many resources the list has.
    count: u64,
    /// When the storage listed them, in UTC; null if it never did.
    #[schema(example = "2026-01-02T03:04:05.678901")]
    listed_at: Option<String>,
    /// Why the last attempt failed; null if it did not.
    error: Option<String>,
}

impl ListResourcesStatesResponse {
    pub(super) fn new(lists: &[ListState]) -> Self {
        let view = |list: &ListState| ListStateView {
            kind: list.kind.name(),
            count: list.resources,
            listed_at: list.listed_us.map(time),
            error: list.error.clone(),
        };
        Self {
            resources: lists.iter().map(view).collect(),
        }
    }
}

/// A resource in the form of Delfin.
pub(super) fn of(kind: ResourceKind, resource: StoredResource) -> Value {
    let mut view = resource.fields;
    for field in kind.series_fields() {
        view.remove(field.name);
    }
    let mut set = |name: &str, value: Value| drop(view.insert(name.to_owned(), value));
    set("created_at", time(resource.created_us).into());
    set("updated_at", resource.updated_us.map(time).into());
    set("id", resource.id.to_string().into());
    set("storage_id", resource.storage_id.into());
    Value::Object(view)
}
