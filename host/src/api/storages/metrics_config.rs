//! `/v1/storages/{id}/metrics-config`: how often a storage is collected from.

use std::sync::Arc;

use axum::extract::State;

use super::{StoragePath, request::MetricsConfig};
use crate::{
    api::{
        blocking,
        error::ApiError,
        extract::{Json, Path},
        responses::{
            InvalidBody, InventoryUnavailable, RegisteredStoragesUnknown, StorageIsDeclared,
            StorageNotFound,
        },
    },
    inventory::PerformanceSchedule,
    storages::{StorageError, Storages},
};

/// Shows how often a storage is collected from.
#[utoipa::path(
    get,
    path = "/v1/storages/{id}/metrics-config",
    params(StoragePath),
    responses(
        (status = 200, body = MetricsConfig, description = "How often the storage is collected from"),
        StorageNotFound,
        RegisteredStoragesUnknown,
    ),
)]
pub(super) async fn show_metrics_config(
    State(storages): State<Arc<Storages>>,
    Path(StoragePath { id }): Path<StoragePath>,
) -> Result<Json<MetricsConfig>, ApiError> {
    Ok(Json(MetricsConfig::from(
        &storages.performance_schedule(&id)?,
    )))
}

/// Sets how often a registered storage is collected from. The change applies at
/// once, and is stored.
#[utoipa::path(
    put,
    path = "/v1/storages/{id}/metrics-config",
    params(StoragePath),
    request_body(content = MetricsConfig, content_type = "application/json"),
    responses(
        (status = 200, body = MetricsConfig, description = "The change applies"),
        InvalidBody,
        StorageNotFound,
        StorageIsDeclared,
        InventoryUnavailable,
    ),
)]
pub(super) async fn set_metrics_config(
    State(storages): State<Arc<Storages>>,
    Path(StoragePath { id }): Path<StoragePath>,
    Json(config): Json<MetricsConfig>,
) -> Result<Json<MetricsConfig>, ApiError> {
    let schedule = PerformanceSchedule::from(&config);
    let set: Result<(), StorageError> =
        blocking(move || storages.set_performance_schedule(&id, schedule)).await?;
    set?;
    Ok(Json(config))
}
