//! `POST /v1/exporters/{name}/pause`, `resume`, `skip`, `rename` and `forget`.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    error::ApiError,
    exporters::ExporterPath,
    extract::{Json, Path},
    responses::{
        CursorOccupied, ExporterConfigured, ExporterNotFound, InvalidBody, JournalNotWritable,
    },
    state::ApiState,
};
use crate::{
    exporters::{Forgotten, MarkError, OperateError, Reloader},
    postgres::DatabaseFailure,
};

/// The name of an exporter.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExporterNameResponse {
    name: String,
}

/// How much was dropped.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SkipResponse {
    /// Number of points or alerts that were pending, and are counted as dropped with the reason `skip`.
    dropped: u64,
}

/// The new name of a removed exporter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RenameRequest {
    /// Name of another exporter, configured or not.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[A-Za-z0-9._-]*$",
        example = "kafka-dr"
    )]
    to: String,
}

/// What the exporter with the new name has to deliver.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RenameResponse {
    /// Number of pending points or alerts.
    pending: u64,
}

/// What is lost.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ForgetResponse {
    /// Number of points or alerts that were pending.
    items: u64,
    /// Number of dead letters.
    dead_letters: u64,
}

pub(super) fn routed(router: OpenApiRouter<ApiState>) -> OpenApiRouter<ApiState> {
    router
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(skip))
        .routes(routes!(rename))
        .routes(routes!(forget))
}

/// Makes no further call of an exporter, also after a restart of the host. What is pending
/// for it is kept, within its limits.
#[utoipa::path(
    post,
    path = "/v1/exporters/{name}/pause",
    params(ExporterPath),
    responses(
        (status = 200, body = ExporterNameResponse, description = "The exporter is paused, once the call in progress has ended"),
        ExporterNotFound,
        ExporterConfigured,
    ),
)]
async fn pause(
    State(reloader): State<Reloader>,
    Path(ExporterPath { name }): Path<ExporterPath>,
) -> Result<Json<ExporterNameResponse>, ApiError> {
    reloader.pause(&name).await?;
    Ok(Json(ExporterNameResponse { name }))
}

/// Ends the pause of an exporter. An exporter that is not paused tries again now.
#[utoipa::path(
    post,
    path = "/v1/exporters/{name}/resume",
    params(ExporterPath),
    responses(
        (status = 200, body = ExporterNameResponse, description = "The exporter tries again now"),
        ExporterNotFound,
        ExporterConfigured,
    ),
)]
async fn resume(
    State(reloader): State<Reloader>,
    Path(ExporterPath { name }): Path<ExporterPath>,
) -> Result<Json<ExporterNameResponse>, ApiError> {
    reloader.resume(&name).await?;
    Ok(Json(ExporterNameResponse { name }))
}

/// Drops everything that is pending for an exporter.
#[utoipa::path(
    post,
    path = "/v1/exporters/{name}/skip",
    params(ExporterPath),
    responses(
        (status = 200, body = SkipResponse, description = "The items are counted as dropped"),
        ExporterNotFound,
        ExporterConfigured,
        JournalNotWritable,
    ),
)]
async fn skip(
    State(reloader): State<Reloader>,
    Path(ExporterPath { name }): Path<ExporterPath>,
) -> Result<Json<SkipResponse>, ApiError> {
    let dropped = reloader.skip(&name).await?;
    Ok(Json(SkipResponse { dropped }))
}

/// Gives the cursor of a removed exporter another name, with its counts, dead letters and
/// pause. A configured exporter with that name continues with it, in place of its own cursor.
#[utoipa::path(
    post,
    path = "/v1/exporters/{name}/rename",
    params(ExporterPath),
    request_body(content = RenameRequest, content_type = "application/json"),
    responses(
        (status = 200, body = RenameResponse, description = "The cursor has the other name"),
        InvalidBody,
        ExporterNotFound,
        CursorOccupied,
        JournalNotWritable,
    ),
)]
async fn rename(
    State(reloader): State<Reloader>,
    Path(ExporterPath { name }): Path<ExporterPath>,
    Json(request): Json<RenameRequest>,
) -> Result<Json<RenameResponse>, ApiError> {
    let pending = reloader.rename(&name, &request.to).await?;
    Ok(Json(RenameResponse { pending }))
}

/// Removes the cursor of a removed exporter, with its counts, dead letters and pause.
#[utoipa::path(
    post,
    path = "/v1/exporters/{name}/forget",
    params(ExporterPath),
    responses(
        (status = 200, body = ForgetResponse, description = "The cursor is removed"),
        ExporterNotFound,
        ExporterConfigured,
        JournalNotWritable,
    ),
)]
async fn forget(
    State(reloader): State<Reloader>,
    Path(ExporterPath { name }): Path<ExporterPath>,
) -> Result<Json<ForgetResponse>, ApiError> {
    let Forgotten {
        items,
        dead_letters,
    } = reloader.forget(&name).await?;
    Ok(Json(ForgetResponse {
        items,
        dead_letters,
    }))
}

impl From<OperateError> for ApiError {
    fn from(error: OperateError) -> Self {
        match error {
            OperateError::NotFound { name } => Self::ExporterNotFound { name },
            OperateError::Configured { name } => Self::ExporterIsConfigured { name },
            OperateError::Removed { name } => Self::ExporterIsRemoved { name },
            OperateError::Name { reason } => Self::invalid(reason),
            OperateError::Occupied { reason } => Self::CursorIsOccupied { reason },
            OperateError::Mark(MarkError::File(error)) => Self::Internal {
                log: format!("cannot store the pause of an exporter: {error}"),
            },
            OperateError::Mark(MarkError::Database(DatabaseFailure { reason, .. })) => {
                Self::DatabaseUnavailable { reason }
            }
            OperateError::Cursor(error) => error.into(),
            OperateError::Read(error) => error.into(),
        }
    }
}
