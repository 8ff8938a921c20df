//! `GET /v1/exporters/{name}/history`: the last hour of an exporter.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    error::ApiError,
    exporters::ExporterPath,
    extract::{Json, Path},
    responses::ExporterNotFound,
};
use crate::{
    exporters::ExporterSet,
    history::{History, SAMPLE_INTERVAL},
};

/// The counts of an exporter over the last hour, as far as the host has run. All lists have the
/// same length, the oldest sample first.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct ExporterHistoryResponse {
    /// Seconds between two samples.
    interval_seconds: u64,
    /// Times of the samples, in milliseconds since the Unix epoch.
    times_ms: Vec<i64>,
    /// Items that were accepted for the exporter since it was added.
    accepted: Vec<u64>,
    /// Items that the receiver has.
    delivered: Vec<u64>,
    /// Items that were pending.
    pending: Vec<u64>,
}

/// Shows the counts of an exporter over the last hour.
#[utoipa::path(
    get,
    path = "/v1/exporters/{name}/history",
    params(ExporterPath),
    responses(
        (status = 200, body = ExporterHistoryResponse, description = "The counts"),
        ExporterNotFound,
    ),
)]
pub(super) async fn show_history(
    State(exporters): State<ExporterSet>,
    State(history): State<History>,
    Path(ExporterPath { name }): Path<ExporterPath>,
) -> Result<Json<ExporterHistoryResponse>, ApiError> {
    if exporters.get(&name).is_none() {
        return Err(ApiError::ExporterNotFound { name });
    }
    let mut response = ExporterHistoryResponse {
        interval_seconds: SAMPLE_INTERVAL.as_secs(),
        ..ExporterHistoryResponse::default()
    };
    for sample in history.of(&name) {
        response.times_ms.push(sample.time_ms);
        response.accepted.push(sample.accepted);
        response.delivered.push(sample.delivered);
        response.pending.push(sample.pending);
    }
    Ok(Json(response))
}
