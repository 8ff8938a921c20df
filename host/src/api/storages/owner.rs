//! Which cluster has a storage that this host does not know.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::api::{
    error::{ApiError, UnknownStorage},
    state::ClusterPart,
};

/// Adds the cluster that has a storage to the answer that it could not be found. Declared storages of other clusters are not in
/// the database.
pub(in crate::api) async fn name_owner(
    State(cluster): State<Option<ClusterPart>>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let unknown = response.extensions().get::<UnknownStorage>().cloned();
    let (Some(cluster), Some(UnknownStorage(id))) = (cluster, unknown) else {
        return response;
    };
    // Without the database, the answer is right as well.
    let Ok(Some(owner)) = cluster.clusters.owner_of(&id).await else {
        return response;
    };
    let place = match &owner.active {
        Some(active) => format!(
            "whose active host is `{}` at {}",
            active.name, active.address
        ),
        None => "which has no active host now".to_owned(),
    };
    let error = ApiError::StorageOfOtherCluster {
        id,
        cluster: owner.cluster,
        place,
    };
    error.into_response()
}
