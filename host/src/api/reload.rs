//! `POST /v1/reload`: apply the changed configuration.

use axum::extract::State;

use super::{
    error::{ApiError, ErrorBody},
    extract::Json,
    responses::Stopping,
    state::HostPhase,
};
use crate::exporters::{ReloadError, Reloaded, Reloader};

/// Reads the configuration again, with its placeholders, and applies it.
///
/// The whole configuration is checked before anything changes. Exporters that did not
/// change keep running.
#[utoipa::path(
    post,
    path = "/v1/reload",
    responses(
        (status = 200, body = Reloaded, description = "What changed"),
        (status = 400, body = ErrorBody, description = "The configuration has mistakes, or a new or changed exporter cannot start; nothing was changed"),
        (status = 500, body = ErrorBody, description = "An exporter was stopped and could not be started again"),
        Stopping,
    ),
)]
pub(super) async fn reload(
    State(reloader): State<Reloader>,
    State(phase): State<HostPhase>,
) -> Result<Json<Reloaded>, ApiError> {
    phase.require_running()?;
    let reloaded = reloader.reload().await;
    reloaded.map(Json).map_err(|error| match error {
        ReloadError::Config(_) | ReloadError::Exporter { .. } => {
            ApiError::invalid(error.to_string())
        }
        ReloadError::Start(_) => ApiError::Internal {
            log: error.to_string(),
        },
    })
}
