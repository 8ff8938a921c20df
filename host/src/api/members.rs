//! `GET /v1/members`: the hosts of the cluster, and which of them is active. `POST /v1/handover`: another one becomes active.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    error::ApiError,
    extract::Json,
    responses::{HandoverRefused, InvalidBody, Stopping},
    state::{ClusterPart, HostPhase},
};
use crate::cluster::MemberView;

/// The hosts of the cluster.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MembersResponse {
    /// The name of the cluster; null if the host belongs to none.
    #[schema(example = "delfin")]
    cluster: Option<String>,
    /// The time of the lease in seconds; null if the host belongs to no cluster.
    #[schema(example = 10.0)]
    lease_seconds: Option<f64>,
    /// Why the database of the cluster does not answer, so that the list is as it was before; null if it answers.
    fault: Option<String>,
    /// By name. Empty if the host belongs to no cluster.
    members: Vec<MemberRow>,
}

/// A host of the cluster. Times are by the clock of the database.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MemberRow {
    name: String,
    /// `active`, `standby`, or `gone` if it was not seen for twice the time of the lease.
    #[schema(example = "active")]
    role: &'static str,
    /// The URL of its API.
    #[schema(example = "http://host-a:8190")]
    address: String,
    /// When it became active, or started as a standby, in milliseconds since the Unix epoch.
    since_ms: i64,
    /// When it last asked the database, in milliseconds since the Unix epoch.
    last_seen_ms: i64,
    /// How often the lease was taken until it became active; null if it does not have the lease.
    epoch: Option<i64>,
    /// From 0 to 100: the active host hands its lease over to a standby with a higher one. Null if it was not checked yet whether this
    /// host could become active, or if it is of an older release.
    #[schema(minimum = 0, maximum = 100)]
    priority: Option<u8>,
    /// Why it has the lease, if another host handed it over; null otherwise.
    reason: Option<String>,
    /// It was handed the lease in the last ten minutes, and has not become active since: it is not handed it because of its priority.
    has_failed: bool,
    /// Why it could not become active; null if nothing is known that prevents it.
    obstacle: Option<String>,
}

/// Which host becomes active.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HandoverRequest {
    /// Name of a standby whose priority is not lower. Without it, the standby with the highest priority.
    #[schema(
        nullable = false,
        min_length = 1,
        max_length = 64,
        pattern = "^[A-Za-z0-9._-]*$",
        example = "b"
    )]
    #[serde(default)]
    to: Option<String>,
}

/// Which host becomes active.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HandoverResponse {
    /// The name of the host.
    #[schema(example = "b")]
    to: String,
}

/// Lists the hosts of the cluster, and which of them is active.
#[utoipa::path(
    get,
    path = "/v1/members",
    responses((status = 200, body = MembersResponse, description = "The hosts of the cluster")),
)]
pub(super) async fn list_members(
    State(cluster): State<Option<ClusterPart>>,
) -> Json<MembersResponse> {
    let member = cluster.map(|cluster| cluster.member);
    let view = member.as_ref().map(|member| member.view());
    let view = view.unwrap_or_default();
    Json(MembersResponse {
        cluster: member.as_ref().map(|member| member.cluster().to_owned()),
        lease_seconds: member.as_ref().map(|member| member.lease().as_secs_f64()),
        fault: view.fault,
        members: view.members.into_iter().map(MemberRow::from).collect(),
    })
}

/// Makes another host of the cluster active. This host delivers what can be delivered, as when it is stopped, and starts again as a
/// standby.
#[utoipa::path(
    post,
    path = "/v1/handover",
    request_body(content = HandoverRequest, content_type = "application/json"),
    responses(
        (status = 200, body = HandoverResponse, description = "This host stops, and the other one becomes active"),
        InvalidBody,
        HandoverRefused,
        Stopping,
    ),
)]
pub(super) async fn hand_over(
    State(cluster): State<Option<ClusterPart>>,
    State(phase): State<HostPhase>,
    Json(HandoverRequest { to }): Json<HandoverRequest>,
) -> Result<Json<HandoverResponse>, ApiError> {
    phase.require_running()?;
    let refused = |reason: String| ApiError::HandoverRefused { reason };
    let cluster = cluster
        .ok_or_else(|| refused("this host belongs to no cluster (set `cluster`)".to_owned()))?;
    let to = cluster.member.hand_over(to.as_deref());
    let to = to.map_err(|error| refused(error.to_string()))?;
    Ok(Json(HandoverResponse { to }))
}

impl From<MemberView> for MemberRow {
    fn from(member: MemberView) -> Self {
        Self {
            role: member.role.as_str(),
            name: member.name,
            address: member.address,
            since_ms: member.since_ms,
            last_seen_ms: member.last_seen_ms,
            epoch: member.epoch,
            priority: member.priority,
            reason: member.reason,
            has_failed: member.has_failed,
            obstacle: member.obstacle,
        }
    }
}
