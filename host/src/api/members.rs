//! `GET /v1/members`: the hosts of the cluster, and which of them is active.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{extract::Json, state::ClusterPart};
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
struct MemberRow {
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
    /// Why it could not become active; null if nothing is known that prevents it.
    obstacle: Option<String>,
}

/// Lists the hosts of the cluster, and which of them is active.
#[utoipa::path(
    get,
    path = "/v1/members",
    responses((status = 200, body = MembersResponse, description = "The hosts of the cluster")),
)]
pub(super) async fn list_members(
    State(ClusterPart(member)): State<ClusterPart>,
) -> Json<MembersResponse> {
    let view = member.as_ref().map(|member| member.view());
    let view = view.unwrap_or_default();
    Json(MembersResponse {
        cluster: member.as_ref().map(|member| member.cluster().to_owned()),
        lease_seconds: member.as_ref().map(|member| member.lease().as_secs_f64()),
        fault: view.fault,
        members: view.members.into_iter().map(MemberRow::from).collect(),
    })
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
            obstacle: member.obstacle,
        }
    }
}
