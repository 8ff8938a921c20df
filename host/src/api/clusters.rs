//! `GET /v1/clusters`: the clusters of the database, with their members and what they deliver. `GET /v1/clusters/storages`: their
//! registered storages.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    error::ApiError,
    extract::{Json, Query},
    members::MemberRow,
    responses::{DatabaseUnavailable, InvalidQuery},
    state::ClusterPart,
};
use crate::{
    clock::rfc3339,
    cluster::MemberRole,
    clusters::{ClusterList, ClusterSummary},
    inventory::StorageOfCluster,
    journal::CursorSummary,
};

const DEFAULT_LIMIT: u32 = 1000;
const MAX_LIMIT: u32 = 10_000;

/// The clusters of the database.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct ClustersResponse {
    /// Number of clusters in the database.
    total: u64,
    /// The first 1000 by name. Empty if the host belongs to no cluster.
    clusters: Vec<ClusterRow>,
}

/// A cluster.
#[derive(Debug, Serialize, ToSchema)]
struct ClusterRow {
    #[schema(example = "delfin")]
    name: String,
    /// Name of the member that is active; null if none is.
    active: Option<String>,
    /// By name, as in `/v1/members`.
    members: Vec<MemberRow>,
    /// Number of registered storages. Absent if the state of the cluster is in a shared folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    storages: Option<u64>,
    /// Performance exporters first, by name. Absent if the state of the cluster is in a shared folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    exporters: Option<Vec<ClusterExporterRow>>,
    /// Exporters that were removed from the configuration in the last day, and whose
    /// cursors are kept; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    removed: Vec<ClusterRemovedRow>,
}

/// Counts of an exporter. The counts are of items: points or alerts.
#[derive(Debug, Serialize, ToSchema)]
struct ClusterExporterRow {
    /// Name in the configuration.
    name: String,
    /// `performance` or `alert`.
    #[schema(example = "performance")]
    kind: &'static str,
    /// Items that are not delivered yet, as noted within the last seconds; null until the active host has noted them.
    pending: Option<u64>,
    /// Items that the receiver has.
    delivered: u64,
    /// Items that the receiver refuses for good.
    dead_lettered: u64,
    /// Items that a limit dropped.
    dropped: u64,
    /// Items that the filter of the exporter leaves out.
    filtered: u64,
    /// The last error, at most 1000 characters; null if there was none.
    last_error: Option<String>,
    /// When the last error occurred, in milliseconds since the Unix epoch; null if there was none.
    last_error_ms: Option<i64>,
    /// The last delivery, in RFC 3339; null if there was none.
    #[schema(example = "2026-01-02T03:04:05.678Z")]
    last_success: Option<String>,
}

/// An exporter that was removed from the configuration.
#[derive(Debug, Serialize, ToSchema)]
struct ClusterRemovedRow {
    name: String,
    /// `performance` or `alert`.
    #[schema(example = "performance")]
    kind: &'static str,
    /// Number of items that the exporter would have to deliver if it were added again; null until the active host has noted them.
    pending: Option<u64>,
    /// When it was removed, in RFC 3339.
    #[schema(example = "2026-01-02T03:04:05.678Z")]
    removed_at: String,
}

/// Lists the clusters of the database, with their members and what they deliver.
#[utoipa::path(
    get,
    path = "/v1/clusters",
    responses(
        (status = 200, body = ClustersResponse, description = "The clusters"),
        DatabaseUnavailable,
    ),
)]
pub(super) async fn list_clusters(
    State(cluster): State<Option<ClusterPart>>,
) -> Result<Json<ClustersResponse>, ApiError> {
    let Some(ClusterPart { clusters, .. }) = cluster else {
        return Ok(Json(ClustersResponse::default()));
    };
    let list = clusters.list().await;
    let ClusterList { total, clusters } =
        list.map_err(|reason| ApiError::DatabaseUnavailable { reason })?;
    Ok(Json(ClustersResponse {
        total,
        clusters: clusters.into_iter().map(ClusterRow::from).collect(),
    }))
}

/// A page of the registered storages of all clusters.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ListClusterStoragesQuery {
    /// Maximum number of storages; at most 10000.
    #[param(default = 1000)]
    limit: u32,
    /// Number of storages to skip.
    #[param(default = 0)]
    offset: u64,
}

impl Default for ListClusterStoragesQuery {
    fn default() -> Self {
        Self {
            limit: DEFAULT_LIMIT,
            offset: 0,
        }
    }
}

/// Registered storages of all clusters.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct ClusterStoragesResponse {
    /// Number of storages in all clusters.
    total: u64,
    /// By cluster, the earliest first. Empty if the host belongs to no cluster.
    storages: Vec<ClusterStorageRow>,
}

/// A registered storage of a cluster.
#[derive(Debug, Serialize, ToSchema)]
struct ClusterStorageRow {
    /// Name of the cluster that the storage belongs to.
    #[schema(example = "delfin")]
    cluster: String,
    id: String,
    name: String,
    vendor: String,
    model: String,
    serial_number: String,
}

/// Lists the registered storages of all clusters that have their state in the database. Storages that a configuration declares are
/// not in the database.
#[utoipa::path(
    get,
    path = "/v1/clusters/storages",
    params(ListClusterStoragesQuery),
    responses(
        (status = 200, body = ClusterStoragesResponse, description = "The storages"),
        InvalidQuery,
        DatabaseUnavailable,
    ),
)]
pub(super) async fn list_storages_of_clusters(
    State(cluster): State<Option<ClusterPart>>,
    Query(ListClusterStoragesQuery { limit, offset }): Query<ListClusterStoragesQuery>,
) -> Result<Json<ClusterStoragesResponse>, ApiError> {
    let Some(ClusterPart { clusters, .. }) = cluster else {
        return Ok(Json(ClusterStoragesResponse::default()));
    };
    let page = clusters.storages(limit.min(MAX_LIMIT), offset);
    let (total, storages) = page
        .await
        .map_err(|reason| ApiError::DatabaseUnavailable { reason })?;
    Ok(Json(ClusterStoragesResponse {
        total,
        storages: storages.into_iter().map(ClusterStorageRow::from).collect(),
    }))
}

impl From<StorageOfCluster> for ClusterStorageRow {
    fn from(StorageOfCluster { cluster, id, info }: StorageOfCluster) -> Self {
        Self {
            cluster,
            id: id.to_string(),
            name: info.name,
            vendor: info.vendor,
            model: info.model,
            serial_number: info.serial_number,
        }
    }
}

impl From<ClusterSummary> for ClusterRow {
    fn from(ClusterSummary { cluster, state }: ClusterSummary) -> Self {
        let mut members = cluster.members.iter();
        let active = members.find(|member| member.role == MemberRole::Active);
        let storages = state.as_ref().map(|state| state.storages);
        let mut removed = Vec::new();
        let exporters = state.map(|state| {
            let rows = state.cursors.into_iter().filter_map(|cursor| {
                let Some(since_ms) = cursor.unused_since_ms else {
                    return Some(ClusterExporterRow::from(cursor));
                };
                removed.push(ClusterRemovedRow {
                    name: cursor.exporter,
                    kind: cursor.kind.as_str(),
                    pending: cursor.pending,
                    removed_at: rfc3339(since_ms),
                });
                None
            });
            rows.collect()
        });
        Self {
            active: active.map(|member| member.name.clone()),
            name: cluster.name,
            members: cluster.members.into_iter().map(MemberRow::from).collect(),
            storages,
            exporters,
            removed,
        }
    }
}

impl From<CursorSummary> for ClusterExporterRow {
    fn from(cursor: CursorSummary) -> Self {
        Self {
            name: cursor.exporter,
            kind: cursor.kind.as_str(),
            pending: cursor.pending,
            delivered: cursor.delivered,
            dead_lettered: cursor.dead_lettered,
            dropped: cursor.dropped,
            filtered: cursor.filtered,
            last_error: cursor.last_error,
            last_error_ms: cursor.last_error_ms,
            last_success: cursor.last_success_ms.map(rfc3339),
        }
    }
}
