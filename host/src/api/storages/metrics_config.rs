//! `/v1/storages/{id}/metrics-config`: how often a storage is measured.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Request, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    super::{
        ApiState, blocking,
        error::{ApiError, ErrorBody},
    },
    request,
};
use crate::{inventory::PerformanceSchedule, storages::StorageError};

/// How often a storage is measured.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MetricsConfig {
    /// How often all of its parts are measured.
    array_polling: ArrayPolling,
}

/// How often all parts of a storage are measured.
#[derive(Debug, Serialize, ToSchema)]
struct ArrayPolling {
    /// Whether they are measured at all.
    perf_collection: bool,
    /// How often, in seconds.
    interval: u64,
    /// Whether what was missed while the host did not run is asked for.
    is_historic: bool,
}

impl MetricsConfig {
    fn new(schedule: &PerformanceSchedule) -> Self {
        let at_least_one = schedule.interval.max(Duration::from_secs(1));
        Self {
            array_polling: ArrayPolling {
                perf_collection: schedule.enabled,
                interval: at_least_one.as_secs(),
                is_historic: schedule.backfill,
            },
        }
    }
}

/// Shows how often a storage is measured.
#[utoipa::path(
    get,
    path = "/v1/storages/{id}/metrics-config",
    params(("id" = String, Path, description = "The storage's id")),
    responses(
        (status = 200, body = MetricsConfig, description = "How often it is measured"),
        (status = 404, body = ErrorBody, description = "There is no such storage"),
    ),
)]
pub(super) async fn show_metrics_config(
    State(api): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<MetricsConfig>, ApiError> {
    Ok(Json(MetricsConfig::new(
        &api.storages().performance_schedule(&id)?,
    )))
}

/// Sets how often a registered storage is measured: in force at once, and kept.
#[utoipa::path(
    put,
    path = "/v1/storages/{id}/metrics-config",
    params(("id" = String, Path, description = "The storage's id")),
    request_body(
        content_type = "application/json",
        content = serde_json::Value,
        example = json!({"array_polling": {"perf_collection": true, "interval": 60, "is_historic": false}})
    ),
    responses(
        (status = 200, body = MetricsConfig, description = "It is in force"),
        (status = 400, body = ErrorBody, description = "The body is not as it must be"),
        (status = 404, body = ErrorBody, description = "There is no such storage"),
        (status = 409, body = ErrorBody, description = "It is declared in the configuration"),
    ),
)]
pub(super) async fn set_metrics_config(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<MetricsConfig>, ApiError> {
    let schedule = request::polling(&request::json(&api, request).await?)?;
    let config = MetricsConfig::new(&schedule);
    let set: Result<(), StorageError> =
        blocking(move || api.storages().set_performance_schedule(&id, schedule)).await?;
    set?;
    Ok(Json(config))
}
