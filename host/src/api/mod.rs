//! The REST interface of the running host, and its metrics.
//!
//! Promises: a batch is answered with 202 only once it is durable; every refusal
//! is JSON in Delfin's error format and repeats nothing of the request but what
//! is wrong with it; every answer has a request id. What blocks or keeps the
//! processor busy never runs on an async worker.
//!
//! Knows nothing of how plugins are found or storages asked: it is handed those
//! who do.

mod active_alerts;
mod batches;

mod dead_letters;
mod error;
mod exporters;
mod extract;
mod health;
mod ingest;
mod metrics;
mod middleware;
mod openapi;
mod plugins;
mod reload;
mod replay;
mod serve;
mod since;
mod storages;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{Extension, Router, middleware::from_fn};
use tokio::sync::{Semaphore, watch};
use utoipa_axum::{router::OpenApiRouter, routes};

pub use error::ApiError;
pub use serve::serve;

use crate::{
    alert::ActiveAlerts,
    batch_journal::BatchJournals,
    config::{ApiConfig, JournalConfig},
    exporters::{ExporterSet, Reloader},
    lifecycle::Phase,
    storages::Storages,
};
use metrics::Metrics;

/// Senders that wait for their batches at a time; more are answered at once.
const MAX_WAITING: usize = 512;

/// What the interface shows, and what it hands batches to.
#[derive(Clone, Debug)]
pub struct ApiParts {
    /// Its limits.
    pub config: ApiConfig,
    /// The limits of the journals.
    pub journal: JournalConfig,
    /// Where batches go.
    pub journals: BatchJournals,
    /// The alerts that are active.
    pub alerts: ActiveAlerts,
    /// The exporters, in the order of the configuration.
    pub exporters: ExporterSet,
    /// The storages.
    pub storages: Arc<Storages>,
    /// Who makes another configuration hold, and knows the plugin files.
    pub reloader: Reloader,
    /// Whether the host takes batches.
    pub phase: watch::Receiver<Phase>,
}

/// What every handler needs.
#[derive(Clone, Debug)]
pub struct ApiState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    parts: ApiParts,
    metrics: Metrics,
    /// Bodies that may be parsed at a time: one a processor, for more would only
    /// hold more memory.
    parsing: Semaphore,
    /// Senders that may wait for their batches to be delivered at a time.
    waiting: Semaphore,
}

impl ApiState {
    /// What every handler needs, made of these parts.
    #[must_use]
    pub fn new(parts: ApiParts) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Shared {
            metrics: Metrics::new(&parts),
            parsing: Semaphore::new(processors),
            waiting: Semaphore::new(MAX_WAITING),
            parts,
        }))
    }

    fn parts(&self) -> &ApiParts {
        &self.0.parts
    }

    fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    fn parsing(&self) -> &Semaphore {
        &self.0.parsing
    }

    fn waiting(&self) -> &Semaphore {
        &self.0.waiting
    }

    fn storages(&self) -> &Storages {
        &self.parts().storages
    }

    fn phase(&self) -> Phase {
        *self.parts().phase.borrow()
    }
}

/// Runs what blocks, or keeps a processor busy, away from the async workers.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ApiError::Internal {
            log: error.to_string(),
        })
}

fn router(state: ApiState) -> Router {
    let (router, document) = documented().split_for_parts();
    router
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(Extension(openapi::Document::new(&document)))
        .layer(from_fn(middleware::answer))
        .with_state(state)
}

fn documented() -> OpenApiRouter<ApiState> {
    dead_letters::routed(storages::routed(openapi::described()))
        .routes(routes!(ingest::ingest_performance))
        .routes(routes!(ingest::ingest_alerts))
        .routes(routes!(active_alerts::list_active_alerts))
        .routes(routes!(batches::show_batch))
        .routes(routes!(exporters::list_exporters))
        .routes(routes!(replay::replay))
        .routes(routes!(reload::reload))
        .routes(routes!(plugins::list_plugins))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi::openapi))
}
