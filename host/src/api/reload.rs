//! `POST /v1/reload`: the configuration, read again.

use axum::{Json, extract::State};

use super::{
    ApiState,
    error::{ApiError, ErrorBody},
};
use crate::{
    exporters::{ReloadError, Reloaded},
    lifecycle::Phase,
};

/// Reads the configuration again, placeholders too, and makes it so.
///
/// It is validated whole before anything changes. Exporters that did not change
/// are not touched.
#[utoipa::path(
    post,
    path = "/v1/reload",
    responses(
        (status = 200, body = Reloaded, description = "What was done"),
        (status = 400, body = ErrorBody, description = "The configuration has mistakes: nothing was changed"),
        (status = 503, body = ErrorBody, description = "The host is stopping"),
    ),
)]
pub(super) async fn reload(State(api): State<ApiState>) -> Result<Json<Reloaded>, ApiError> {
    if api.phase() != Phase::Running {
        return Err(ApiError::stopping());
    }
    let reloaded = api.parts().reloader.reload().await;
    reloaded.map(Json).map_err(|error| match error {
        ReloadError::Config(_) | ReloadError::Exporter { .. } => {
            ApiError::invalid(error.to_string())
        }
        ReloadError::Start(_) => ApiError::Internal {
            log: error.to_string(),
        },
    })
}
