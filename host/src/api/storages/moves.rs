//! `/v1/storages/{id}/move`: gives a storage to another cluster.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::StoragePath;
use crate::{
    api::{
        error::ApiError,
        extract::{Json, Path},
        responses::{InvalidBody, InventoryUnavailable, StorageCannotMove, StorageNotFound},
    },
    storages::Storages,
};

/// The cluster that a storage belongs to.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StorageClusterBody {
    /// Name of the cluster, as `/v1/clusters` has it.
    #[schema(example = "east")]
    cluster: String,
}

/// Moves a registered storage to another cluster of the same database, with its access data, labels, schedule and alert source. It
/// keeps its id. Its next window begins where the last one ended.
#[utoipa::path(
    post,
    path = "/v1/storages/{id}/move",
    params(StoragePath),
    request_body(content = StorageClusterBody, content_type = "application/json"),
    responses(
        (status = 200, body = StorageClusterBody, description = "The storage belongs to that cluster"),
        InvalidBody,
        StorageNotFound,
        StorageCannotMove,
        InventoryUnavailable,
    ),
)]
pub(super) async fn move_storage(
    State(storages): State<Arc<Storages>>,
    Path(StoragePath { id }): Path<StoragePath>,
    Json(body): Json<StorageClusterBody>,
) -> Result<Json<StorageClusterBody>, ApiError> {
    storages.move_to(&id, &body.cluster).await?;
    Ok(Json(body))
}
