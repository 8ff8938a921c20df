//! `/v1/storages`: register, list, show and delete storages, and ask them.
//!
//! Shapes, statuses and error codes are those of Delfin.

mod access;
mod alerts;
mod capabilities;
mod error;
mod import;
mod labels;
mod metrics_config;
mod moves;
mod owner;
mod query;
mod request;
mod series;
mod snmp;
mod sync;
mod view;

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    error::{ApiError, ErrorBody},
    extract::{DelfinQuery, Json, Path},
    responses::{
        InvalidBody, InvalidDelfinQuery, InventoryUnavailable, RegisteredStoragesUnknown,
        StorageCallFailed, StorageIsDeclared, StorageNotFound,
    },
    state::{ApiState, HostPhase},
};
use crate::storages::Storages;
pub(super) use owner::name_owner;
use query::{ListStoragesQuery, StoragePage};
use request::RegisterStorageRequest;
use view::StorageView;
pub(super) use view::time;

/// The storage of a call.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct StoragePath {
    /// Id of the storage.
    pub(super) id: String,
}

/// A page of the list of storages.
#[derive(Debug, Serialize, ToSchema)]
struct ListStoragesResponse {
    /// In the order that the query asks for; without one, the newest first.
    storages: Vec<StorageView>,
}

pub(super) fn routed(router: OpenApiRouter<ApiState>) -> OpenApiRouter<ApiState> {
    router
        .routes(routes!(list_storages, create_storage))
        .routes(routes!(show_storage, delete_storage))
        .routes(routes!(
            metrics_config::show_metrics_config,
            metrics_config::set_metrics_config
        ))
        .routes(routes!(labels::show_labels, labels::set_labels))
        .routes(routes!(alerts::list_alerts))
        .routes(routes!(alerts::sync_alerts))
        .routes(routes!(capabilities::show_capabilities))
        .routes(routes!(alerts::clear_alert))
        .routes(routes!(import::import_storage))
        .routes(routes!(moves::move_storage))
        .routes(routes!(sync::sync_storages))
        .routes(routes!(sync::sync_storage))
        .routes(routes!(
            access::show_access_info,
            access::change_access_info
        ))
        .routes(routes!(
            snmp::show_snmp_config,
            snmp::set_snmp_config,
            snmp::remove_snmp_config
        ))
        .routes(routes!(snmp::list_snmp_configs))
        .routes(routes!(series::list_metrics))
        .routes(routes!(series::list_series))
        .routes(routes!(access::list_access_infos))
}

/// Registers a storage and starts to collect from it.
#[utoipa::path(
    post,
    path = "/v1/storages",
    request_body(
        content = RegisterStorageRequest,
        content_type = "application/json",
        example = json!({
            "vendor": "fake_storage",
            "model": "fake_driver",
            "rest": {"host": "127.0.0.1", "port": 8080, "username": "admin", "password": "…"},
            "extra_attributes": {"volumes": "20"}
        })
    ),
    responses(
        (status = 201, body = StorageView, description = "The storage is registered"),
        InvalidBody,
        (status = 400, body = ErrorBody, description = "The body is invalid, the storage is registered already, or it refuses the driver's login or options"),
        (status = 404, body = ErrorBody, description = "No driver exists for this vendor and model"),
        StorageCallFailed,
        InventoryUnavailable,
    ),
)]
async fn create_storage(
    State(storages): State<Arc<Storages>>,
    State(phase): State<HostPhase>,
    Json(request): Json<RegisterStorageRequest>,
) -> Result<(StatusCode, Json<StorageView>), ApiError> {
    let new = request.into_storage()?;
    phase.require_running()?;
    let storage = storages.register(new).await?;
    Ok((StatusCode::CREATED, Json(StorageView::new(&storage))))
}

/// Lists the storages, declared and registered ones.
#[utoipa::path(
    get,
    path = "/v1/storages",
    params(ListStoragesQuery),
    responses(
        (status = 200, body = ListStoragesResponse, description = "The storages"),
        InvalidDelfinQuery,
        (status = 404, body = ErrorBody, description = "`marker` is not the id of a storage"),
        RegisteredStoragesUnknown,
    ),
)]
async fn list_storages(
    State(storages): State<Arc<Storages>>,
    DelfinQuery(query): DelfinQuery<ListStoragesQuery>,
) -> Result<Json<ListStoragesResponse>, ApiError> {
    let page = StoragePage::new(query)?;
    let views = storages.list()?.iter().map(StorageView::new).collect();
    Ok(Json(ListStoragesResponse {
        storages: page.select(views)?,
    }))
}

/// Shows a storage.
#[utoipa::path(
    get,
    path = "/v1/storages/{id}",
    params(StoragePath),
    responses(
        (status = 200, body = StorageView, description = "The storage"),
        StorageNotFound,
        RegisteredStoragesUnknown,
    ),
)]
async fn show_storage(
    State(storages): State<Arc<Storages>>,
    Path(StoragePath { id }): Path<StoragePath>,
) -> Result<Json<StorageView>, ApiError> {
    Ok(Json(StorageView::new(&storages.get(&id)?)))
}

/// Deletes a registered storage. The host collects nothing more from it.
#[utoipa::path(
    delete,
    path = "/v1/storages/{id}",
    params(StoragePath),
    responses(
        (status = 202, description = "The storage is deleted"),
        StorageNotFound,
        StorageIsDeclared,
        InventoryUnavailable,
    ),
)]
async fn delete_storage(
    State(storages): State<Arc<Storages>>,
    Path(StoragePath { id }): Path<StoragePath>,
) -> Result<StatusCode, ApiError> {
    storages.remove(&id).await?;
    Ok(StatusCode::ACCEPTED)
}
