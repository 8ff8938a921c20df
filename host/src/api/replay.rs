//! `POST /v1/exporters/{name}/replay`: deliver stored batches to an exporter again.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    error::ApiError,
    exporters::ExporterPath,
    extract::{Json, Path, Since},
    responses::{ExporterNotFound, InvalidBody, JournalNotWritable},
};
use crate::exporters::ExporterSet;

/// The batches to replay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayRequest {
    /// Batches that were accepted from this time on: how long ago, such as `2h`, or a time in
    /// RFC 3339.
    #[schema(schema_with = Since::schema)]
    since: Since,
}

/// How much is replayed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReplayResponse {
    /// Number of points or alerts that are pending again.
    items: u64,
}

/// Delivers batches to one exporter again: those that were accepted since a time, as
/// far as the journal still has them.
#[utoipa::path(
    post,
    path = "/v1/exporters/{name}/replay",
    params(ExporterPath),
    request_body(content = ReplayRequest, content_type = "application/json"),
    responses(
        (status = 200, body = ReplayResponse, description = "The batches wait for the exporter"),
        InvalidBody,
        ExporterNotFound,
        JournalNotWritable,
    ),
)]
pub(super) async fn replay(
    State(exporters): State<ExporterSet>,
    Path(ExporterPath { name }): Path<ExporterPath>,
    Json(request): Json<ReplayRequest>,
) -> Result<Json<ReplayResponse>, ApiError> {
    let exporter = exporters.get(&name);
    let exporter = exporter.ok_or(ApiError::ExporterNotFound { name })?;
    let items = exporter.replay(request.since.ms).await?;
    log::info!(exporter = exporter.name, items = items; "batches are replayed");
    Ok(Json(ReplayResponse { items }))
}
