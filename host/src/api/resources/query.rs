//! The parameters of a list of resources.

use crate::{
    api::{
        error::ApiError,
        extract::DelfinParameters,
        page::{ListPage, PageParameters},
    },
    collect::ResourceKind,
    inventory::{ResourceQuery, ResourceQueryError},
};

/// The filters of every kind.
pub(super) const FILTERS: [&str; 2] = ["id", "storage_id"];

/// Reads the parameters of a list. `storage_id` is the storage in the path, if there is one; as
/// in Delfin, a parameter of this name replaces it.
pub(super) fn read(
    kind: ResourceKind,
    parameters: &DelfinParameters,
    storage_id: Option<&str>,
) -> Result<ResourceQuery, ApiError> {
    let page = ListPage::new(PageParameters {
        limit: parameters.get("limit"),
        offset: parameters.get("offset"),
        sort: parameters.get("sort"),
        sort_key: parameters.get("sort_key"),
        sort_dir: parameters.get("sort_dir"),
    })?;
    let names = FILTERS.iter().chain(kind.filters());
    let filters = names.filter_map(|name| {
        let in_path = storage_id.filter(|_| *name == "storage_id");
        let value = parameters.get(name).or(in_path)?;
        Some(((*name).to_owned(), value.to_owned()))
    });
    Ok(ResourceQuery {
        kind,
        filters: filters.collect(),
        sort: page.sort,
        marker: parameters.get("marker").map(str::to_owned),
        offset: page.offset,
        limit: page.limit,
    })
}

/// The error of a query with this marker.
pub(super) fn failed(kind: ResourceKind, marker: String, error: ResourceQueryError) -> ApiError {
    match error {
        ResourceQueryError::UnknownSortKey => ApiError::invalid("Invalid sort key"),
        ResourceQueryError::UnknownMarker => not_found(kind, marker),
        ResourceQueryError::Inventory(error) => error.into(),
    }
}

pub(super) fn not_found(kind: ResourceKind, id: String) -> ApiError {
    let [code, text] = kind.not_found();
    ApiError::ResourceNotFound { code, text, id }
}
