//! `POST /v1/inventory/rekey`: seal the secrets of the inventory with another key.

use std::{path::PathBuf, sync::Arc};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    error::{ApiError, ErrorBody},
    extract::Json,
    responses::{InvalidBody, InventoryUnavailable, Stopping},
    state::HostPhase,
};
use crate::storages::Storages;

/// The new key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RekeyRequest {
    /// File with the new key on the machine of the host: 32 bytes, which only its owner can read.
    /// Without it, the host creates a key in its state folder.
    #[schema(value_type = Option<String>, nullable = false, example = "/etc/delfin/inventory.key")]
    key_file: Option<PathBuf>,
}

/// What was sealed again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RekeyResponse {
    /// Number of secrets: access data of registered storages, and credentials of alert sources.
    secrets: usize,
}

/// Seals the access data of registered storages and the credentials of alert sources with another
/// key. Either all of them are sealed with the new key afterwards, or nothing has changed.
#[utoipa::path(
    post,
    path = "/v1/inventory/rekey",
    request_body(content = RekeyRequest, content_type = "application/json"),
    responses(
        (status = 200, body = RekeyResponse, description = "The new key is in use"),
        InvalidBody,
        (status = 400, body = ErrorBody, description = "The body is invalid, the key cannot be used, or a key is needed because the host does not write the one that it uses"),
        InventoryUnavailable,
        Stopping,
    ),
)]
pub(super) async fn rekey_inventory(
    State(storages): State<Arc<Storages>>,
    State(phase): State<HostPhase>,
    Json(request): Json<RekeyRequest>,
) -> Result<Json<RekeyResponse>, ApiError> {
    phase.require_running()?;
    let secrets = storages.rekey(request.key_file).await?;
    Ok(Json(RekeyResponse { secrets }))
}
