//! The resources of storages: a list of each kind, as Delfin has it, and when each was listed.
//!
//! The routes and their descriptions follow the table of kinds.

mod described;
mod query;
mod view;

use std::sync::Arc;

use axum::{
    extract::State,
    routing::{MethodRouter, get},
};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    blocking,
    error::ApiError,
    extract::{DelfinParameters, Json, Path},
    responses::{InventoryUnavailable, StorageNotFound},
    state::ApiState,
    storages::StoragePath,
};
use crate::{
    collect::{ListScope, ResourceKind},
    inventory::InventoryError,
    storages::Storages,
};
use view::ListResourcesStatesResponse;

pub(super) fn routed(router: OpenApiRouter<ApiState>) -> OpenApiRouter<ApiState> {
    let router = router.routes(routes!(list_states));
    ResourceKind::all().fold(router, |router, kind| match kind.scope() {
        ListScope::AllStorages => router
            .routes(described::list(kind, list_route(kind)))
            .routes(described::show(kind, show_route(kind))),
        ListScope::OneStorage => router.routes(described::list(kind, list_of_storage_route(kind))),
    })
}

/// Shows how many resources of each kind a storage has, and when it listed them. Kinds that the
/// driver of the storage does not list are absent.
#[utoipa::path(
    get,
    path = "/v1/storages/{id}/resources",
    params(StoragePath),
    responses(
        (status = 200, body = ListResourcesStatesResponse, description = "The kinds"),
        StorageNotFound,
        InventoryUnavailable,
    ),
)]
async fn list_states(
    State(storages): State<Arc<Storages>>,
    Path(StoragePath { id }): Path<StoragePath>,
) -> Result<Json<ListResourcesStatesResponse>, ApiError> {
    let lists = blocking(move || storages.resource_lists(&id)).await??;
    Ok(Json(ListResourcesStatesResponse::new(&lists)))
}

fn list_route(kind: ResourceKind) -> MethodRouter<ApiState> {
    get(
        async move |State(storages): State<Arc<Storages>>, parameters: DelfinParameters| {
            list(storages, kind, &parameters, None).await
        },
    )
}

fn list_of_storage_route(kind: ResourceKind) -> MethodRouter<ApiState> {
    get(
        async move |State(storages): State<Arc<Storages>>,
                    Path(StoragePath { id }): Path<StoragePath>,
                    parameters: DelfinParameters| {
            list(storages, kind, &parameters, Some(&id)).await
        },
    )
}

fn show_route(kind: ResourceKind) -> MethodRouter<ApiState> {
    get(
        async move |State(storages): State<Arc<Storages>>,
                    Path(StoragePath { id }): Path<StoragePath>| {
            show(storages, kind, id).await
        },
    )
}

async fn list(
    storages: Arc<Storages>,
    kind: ResourceKind,
    parameters: &DelfinParameters,
    storage_id: Option<&str>,
) -> Result<Json<Value>, ApiError> {
    let query = query::read(kind, parameters, storage_id)?;
    let marker = query.marker.clone().unwrap_or_default();
    let found = blocking(move || storages.resources().select(&query)).await?;
    let found = found.map_err(|error| query::failed(kind, marker, error))?;
    let resources: Vec<Value> = found.into_iter().map(|one| view::of(kind, one)).collect();
    Ok(Json(json!({ kind.name(): resources })))
}

async fn show(
    storages: Arc<Storages>,
    kind: ResourceKind,
    id: String,
) -> Result<Json<Value>, ApiError> {
    let found = match id.parse() {
        Ok(id) => blocking(move || storages.resources().find(kind, id)).await??,
        Err(_) => None,
    };
    let resource = found.ok_or_else(|| query::not_found(kind, id))?;
    Ok(Json(view::of(kind, resource)))
}

impl From<InventoryError> for ApiError {
    fn from(error: InventoryError) -> Self {
        Self::InventoryUnavailable {
            log: error.to_string(),
        }
    }
}
