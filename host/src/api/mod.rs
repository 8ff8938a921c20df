//! The REST interface of the host, and its metrics.
//!
//! Promises: a batch is answered with 202 only when it is durable; every error is
//! JSON in Delfin's format and repeats nothing of the request except what is wrong
//! with it; every answer has a request id. Work that blocks, or keeps a processor
//! busy, never runs on an async worker.
//!
//! Knows nothing of how plugins are found or storages are asked: it gets the parts
//! of the host that do so.

mod active_alerts;
mod authorize;
mod batches;
mod clusters;
mod collection;
mod completion;
mod cors;
mod dead_letters;
mod error;
mod exporters;
mod extract;
mod health;
mod history;
mod ingest;
mod inventory;
mod journals;
mod json_suffix;
mod listen;
mod log_level;
mod members;
mod metrics;
mod middleware;
mod openapi;
mod operate;
mod page;
mod peer;
mod permits;
mod plugins;
mod reload;
mod replay;
mod resources;
mod responses;
mod root;
mod same_site;
mod serve;
mod settings;
mod standby;
mod state;
mod storages;
mod tap;
#[cfg(test)]
mod tests;
mod time_log;
mod ui;
mod webhook_log;

use std::sync::Arc;

use axum::{Extension, Router, extract::FromRef, middleware::from_fn_with_state};
use prometheus_client::registry::Registry;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{audit::AuditLog, panics};

use authorize::{AccessRules, RouteScopes};
use cors::CorsOrigins;
pub use error::ApiError;
pub use listen::{ApiListener, ListenError};
use middleware::{Gate, RequestLog};
pub use serve::{serve, serve_metrics, serve_standby, serve_standby_metrics};
pub use standby::{StandbyParts, StandbyState};
use state::{AllowedHosts, Tokens};
pub use state::{ApiParts, ApiState};

fn router(state: ApiState) -> Router {
    let tokens = Tokens::from_ref(&state);
    let name_owner = from_fn_with_state(state.clone(), storages::name_owner);
    let routes = documented().layer(name_owner);
    layered(routes, tokens, state, async || ApiError::NotFound)
}

/// The metrics alone, for a listener of their own. `is_exposed` says whether clients need a token also while
/// none exists.
fn metrics_router<S>(state: S, is_exposed: bool) -> Router
where
    S: Clone + Send + Sync + 'static,
    AllowedHosts: FromRef<S>,
    CorsOrigins: FromRef<S>,
    AuditLog: FromRef<S>,
    Tokens: FromRef<S>,
    Arc<Registry>: FromRef<S>,
{
    let tokens = Tokens {
        is_exposed,
        ..Tokens::from_ref(&state)
    };
    let route = openapi::described().routes(routes!(metrics::metrics));
    layered(route, tokens, state, async || ApiError::NotFound)
}

/// Some routes, with what every request gets. `fallback` answers requests for others.
fn layered<S, F, R>(routes: OpenApiRouter<S>, tokens: Tokens, state: S, fallback: F) -> Router
where
    S: Clone + Send + Sync + 'static,
    AllowedHosts: FromRef<S>,
    CorsOrigins: FromRef<S>,
    AuditLog: FromRef<S>,
    F: FnOnce() -> R + Clone + Send + Sync + 'static,
    R: Future<Output = ApiError> + Send + 'static,
{
    let (router, mut document) = routes.split_for_parts();
    let gate = Gate {
        log: RequestLog::new(AuditLog::from_ref(&state)),
        cors_origins: CorsOrigins::from_ref(&state),
        hosts: AllowedHosts::from_ref(&state),
        access: AccessRules {
            tokens,
            scopes: RouteScopes::complete(&mut document),
        },
    };
    router
        .fallback(fallback)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(Extension(openapi::OpenApiDocument::new(&document)))
        .layer(from_fn_with_state(Arc::new(gate), middleware::answer))
        .with_state(state)
}

/// Every route, with its description.
fn documented() -> OpenApiRouter<ApiState> {
    let router = resources::routed(storages::routed(openapi::described()));
    let router = dead_letters::routed(ingest::routed(router));
    let router = operate::routed(router);
    router
        .routes(routes!(active_alerts::list_active_alerts))
        .routes(routes!(active_alerts::clear_active_alerts))
        .routes(routes!(batches::show_batch))
        .routes(routes!(collection::show_collection))
        .routes(routes!(exporters::list_exporters))
        .routes(routes!(history::show_history))
        .routes(routes!(inventory::rekey_inventory))
        .routes(routes!(journals::show_journals))
        .routes(routes!(members::list_members))
        .routes(routes!(members::hand_over))
        .routes(routes!(clusters::list_clusters))
        .routes(routes!(clusters::list_storages_of_clusters))
        .routes(routes!(
            log_level::show_log_levels,
            log_level::set_log_level
        ))
        .routes(routes!(settings::show_config))
        .routes(routes!(replay::replay))
        .routes(routes!(tap::open_tap))
        .routes(routes!(reload::reload))
        .routes(routes!(plugins::list_plugins))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi::openapi))
        .routes(routes!(root::redirect))
        .routes(routes!(ui::show_page))
        .routes(routes!(ui::show_file))
        .routes(routes!(ui::redirect))
}

/// Runs work that blocks, or keeps a processor busy, outside of the async workers.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    // The panic itself is in the log.
    panics::spawn_blocking(work)
        .await
        .map_err(|error| ApiError::Internal {
            log: if error.is_panic() {
                "its work panicked".to_owned()
            } else {
                error.to_string()
            },
        })
}
