//! `POST /v1/reload`: apply the changed configuration.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;

use super::{
    error::{ApiError, ErrorBody},
    extract::{Json, Query},
    responses::Stopping,
    state::HostPhase,
};
use crate::{
    exporters::{ReloadError, Reloaded, Reloader},
    storages::Storages,
};

/// How to reload.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReloadQuery {
    /// Check the configuration and say what would change, and change nothing.
    dry_run: bool,
}

/// Reads the configuration again, with its placeholders, and applies it.
///
/// A mistake in the configuration changes nothing. Each new or changed exporter is tried
/// before its old instance is stopped. One that is refused keeps its old instance, and every
/// other change is applied. Exporters that did not change keep running. An inventory that could not
/// be used is opened again.
#[utoipa::path(
    post,
    path = "/v1/reload",
    params(ReloadQuery),
    responses(
        (status = 200, body = Reloaded, description = "What changed"),
        (status = 400, body = ErrorBody, description = "The configuration has mistakes, and nothing was changed; or new or changed exporters were refused, which the message names, and every other change was applied"),
        (status = 500, body = ErrorBody, description = "An exporter was stopped and could not be started again"),
        Stopping,
    ),
)]
pub(super) async fn reload(
    State(reloader): State<Reloader>,
    State(storages): State<Arc<Storages>>,
    State(phase): State<HostPhase>,
    Query(query): Query<ReloadQuery>,
) -> Result<Json<Reloaded>, ApiError> {
    phase.require_running()?;
    let reloaded = if query.dry_run {
        reloader.dry_run().await
    } else {
        reloader.reload(&storages).await
    };
    reloaded.map(Json).map_err(|error| match error {
        ReloadError::Config(_)
        | ReloadError::Mappings(_)
        | ReloadError::Exporter { .. }
        | ReloadError::Refused { .. } => ApiError::invalid(error.to_string()),
        ReloadError::Start(_) | ReloadError::Scratch(_) => ApiError::Internal {
            log: error.to_string(),
        },
    })
}
