//! The interface of a standby: it says who is active, and refuses everything else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{
    Router,
    extract::{FromRef, State},
    http::{HeaderValue, header::CONNECTION},
    middleware::map_response,
    response::Response,
};
use delfin_plugin_api::connections::ConnectionTable;
use prometheus_client::registry::Registry;
use utoipa_axum::routes;

use super::{
    clusters,
    cors::CorsOrigins,
    error::ApiError,
    health::{self, ReadinessResponse, ReadyzResponse},
    layered, members, metrics, openapi,
    state::{AllowedHosts, ClusterPart, MAX_CONNECTIONS, Tokens, parts},
};
use crate::{access::TokenStore, audit::AuditLog, cluster::ClusterMember, config::ApiConfig};

/// What a standby has of a host.
#[derive(Clone, Debug)]
pub struct StandbyParts {
    pub config: ApiConfig,
    pub member: ClusterMember,
    pub tokens: Arc<TokenStore>,
    pub audit: AuditLog,
}

/// The state of the interface of a standby.
#[derive(Clone, Debug)]
pub struct StandbyState(Arc<SharedStandby>);

#[derive(Debug)]
struct SharedStandby {
    cluster: ClusterPart,
    tokens: Tokens,
    hosts: AllowedHosts,
    cors_origins: CorsOrigins,
    audit: AuditLog,
    connections: Arc<ConnectionTable>,
    registry: Arc<Registry>,
    /// Why this host has the lease, and not its journals yet.
    opening: Mutex<Option<String>>,
}

impl StandbyState {
    #[must_use]
    pub fn new(parts: StandbyParts) -> Self {
        let connections = ConnectionTable::new(MAX_CONNECTIONS);
        let registry = metrics::standby_registry(&parts.member, &connections);
        Self(Arc::new(SharedStandby {
            cluster: parts.member.into(),
            tokens: Tokens {
                store: parts.tokens,
                is_exposed: parts.config.needs_tokens(),
            },
            hosts: AllowedHosts(parts.config.hosts.into()),
            cors_origins: CorsOrigins(parts.config.cors_origins.into()),
            audit: parts.audit,
            connections,
            registry: Arc::new(registry),
            opening: Mutex::default(),
        }))
    }

    /// This host has the lease, and could not open its journals for a reason that may pass. Returns whether it is another one than
    /// before.
    pub fn note_opening(&self, reason: &str) -> bool {
        let before = self.opening().replace(reason.to_owned());
        before.as_deref() != Some(reason)
    }

    fn opening(&self) -> MutexGuard<'_, Option<String>> {
        self.0
            .opening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connections(&self) -> Arc<ConnectionTable> {
        Arc::clone(&self.0.connections)
    }

    /// Why this host is not active, for clients.
    fn reason(&self) -> String {
        match &*self.opening() {
            Some(reason) => {
                format!(
                    "this host has the lease of the cluster, and waits for its journals: {reason}"
                )
            }
            None => self.0.cluster.member.view().active_text(),
        }
    }

    fn refusal(&self) -> ApiError {
        ApiError::Standby {
            active: self.reason(),
        }
    }
}

pub(super) fn standby_router(state: StandbyState) -> Router {
    let routes = openapi::described()
        .routes(routes!(health::healthz))
        .routes(routes!(readyz))
        .routes(routes!(members::list_members))
        .routes(routes!(clusters::list_clusters))
        .routes(routes!(clusters::list_storages_of_clusters))
        .routes(routes!(metrics::metrics));
    let refused = state.clone();
    let fallback = move || std::future::ready(refused.refusal());
    layered(routes, Tokens::from_ref(&state), state, fallback).layer(map_response(close))
}

/// The next request may be for the host that becomes active.
async fn close(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// Tells that this host is standby, who is active, and whether this host could take over; or why a host that takes over waits.
#[utoipa::path(get, path = "/readyz", security(()), responses(ReadyzResponse))]
async fn readyz(State(state): State<StandbyState>) -> ReadyzResponse {
    let view = state.0.cluster.member.view();
    let mut reasons = vec![state.reason()];
    if let Some(obstacle) = view.obstacle {
        reasons.push(format!("this host could not take over: {obstacle}"));
    }
    ReadyzResponse::NotReady(ReadinessResponse::not_ready(reasons))
}

parts! {
    StandbyState:
    Tokens = tokens;
    AllowedHosts = hosts;
    CorsOrigins = cors_origins;
    AuditLog = audit;
    Arc<Registry> = registry;
}

impl FromRef<StandbyState> for Option<ClusterPart> {
    fn from_ref(state: &StandbyState) -> Self {
        Some(state.0.cluster.clone())
    }
}
