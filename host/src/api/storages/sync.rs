//! `/v1/storages/{id}/sync` and `/v1/storages/sync`: what storages report about themselves, now.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};

use super::StoragePath;
use crate::{
    api::{
        error::{ApiError, ErrorBody},
        extract::Path,
        responses::{RegisteredStoragesUnknown, Stopping, StorageNotFound},
        state::HostPhase,
    },
    storages::Storages,
};

/// Asks a storage for what it reports about itself: name, model, serial number, firmware and
/// capacity. The answer does not wait for the storage; meanwhile its `sync_status` is `SYNCING`.
#[utoipa::path(
    post,
    path = "/v1/storages/{id}/sync",
    params(StoragePath),
    responses(
        (status = 202, description = "The sync is started"),
        (status = 400, body = ErrorBody, description = "The last sync has not ended"),
        StorageNotFound,
        Stopping,
    ),
)]
pub(super) async fn sync_storage(
    State(storages): State<Arc<Storages>>,
    State(phase): State<HostPhase>,
    Path(StoragePath { id }): Path<StoragePath>,
) -> Result<StatusCode, ApiError> {
    phase.require_running()?;
    storages.start_sync(&id)?;
    Ok(StatusCode::ACCEPTED)
}

/// Asks every storage for what it reports about itself, except those whose last sync has not
/// ended.
#[utoipa::path(
    post,
    path = "/v1/storages/sync",
    responses(
        (status = 202, description = "The syncs are started"),
        RegisteredStoragesUnknown,
    ),
)]
pub(super) async fn sync_storages(
    State(storages): State<Arc<Storages>>,
    State(phase): State<HostPhase>,
) -> Result<StatusCode, ApiError> {
    phase.require_running()?;
    storages.start_sync_of_all()?;
    Ok(StatusCode::ACCEPTED)
}
