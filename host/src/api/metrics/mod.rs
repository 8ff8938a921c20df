//! `GET /metrics`: everything that can be counted, for Prometheus.
//!
//! What happens here is counted as it happens; what the journals, the exporters
//! and the system know anyway is asked for at each scrape.

mod alerts;
mod collection;
mod exporters;
mod ingest;
mod journals;
mod page;
mod plugins;
mod process;
mod text;

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header::ACCEPT, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use prometheus_client::{encoding::text::encode, registry::Registry};

use super::{ApiParts, ApiState, blocking, error::ApiError};
use ingest::IngestMetrics;

const PREFIX: &str = "delfin_host";

/// What is counted, and where the rest is asked for.
#[derive(Debug)]
pub(super) struct Metrics {
    /// What becomes of requests that bring batches.
    pub(super) ingest: IngestMetrics,
    registry: Arc<Registry>,
}

impl Metrics {
    pub(super) fn new(parts: &ApiParts) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let ingest = IngestMetrics::register(&mut registry);
        registry.register_collector(Box::new(journals::Journals(parts.journals.clone())));
        registry.register_collector(Box::new(exporters::Running(parts.exporters.clone())));
        registry.register_collector(Box::new(plugins::Plugins(parts.reloader.plugins())));
        registry.register_collector(Box::new(alerts::Alerts(parts.alerts.clone())));
        registry.register_collector(Box::new(collection::Collection(parts.storages.monitor())));
        registry.register_collector(Box::new(process::Process::started_now()));
        Self {
            ingest,
            registry: Arc::new(registry),
        }
    }
}

/// Tells all metrics.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((
        status = 200,
        description = "The Prometheus text format; OpenMetrics for those who accept it",
        content((String = "text/plain"), (String = "application/openmetrics-text")),
    )),
)]
pub(super) async fn metrics(
    State(api): State<ApiState>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let accepted = headers.get_all(ACCEPT).into_iter();
    let openmetrics = accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/openmetrics-text"));
    let registry = Arc::clone(&api.metrics().registry);
    let (content_type, page) = blocking(move || {
        let mut page = String::new();
        // A text takes whatever is written to it, and a collector that cannot
        // tell its part leaves it out.
        let _ = encode(&mut page, &registry);
        if openmetrics {
            (text::OPENMETRICS, page)
        } else {
            (text::CLASSIC, text::classic(&page))
        }
    })
    .await?;
    Ok(([(CONTENT_TYPE, content_type)], page).into_response())
}
