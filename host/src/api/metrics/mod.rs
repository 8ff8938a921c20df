//! `GET /metrics`: the metrics of the host, for Prometheus.
//!
//! Requests are counted as they happen. Everything else is read from its owner at
//! each scrape: the journals, the exporters, the collection schedule, the system.

mod alerts;
mod cluster;
mod collection;
mod connections;
mod drivers;
mod event_counter;
mod exporters;
mod family;
mod ingest;
mod inputs;
mod inventory;
mod journals;
mod memory;
mod plugins;
mod process;
mod push;
mod syslog;
mod text;
mod traps;

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header::ACCEPT, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use delfin_plugin_api::connections::ConnectionTable;
use prometheus_client::{encoding::text::encode, registry::Registry};

pub(super) use self::ingest::IngestMetrics;
pub(super) use self::inputs::InputMetrics;
pub(super) use self::push::{PushCounts, push_metrics};
use super::{blocking, error::ApiError};
use crate::{
    alert::ActiveAlerts,
    batch_journal::BatchJournals,
    cluster::ClusterMember,
    exporters::{ExporterSet, Reloader},
    memory::MemoryBudget,
    platform::DropCounter,
    storages::Storages,
    syslog::SyslogStats,
    traps::TrapStats,
};

const PREFIX: &str = "delfin_host";

/// A registry with the collectors of everything that the host knows at any time.
pub(super) fn registry(
    journals: &BatchJournals,
    exporters: &ExporterSet,
    reloader: &Reloader,
    alerts: &ActiveAlerts,
    storages: &Storages,
) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(journals::JournalCollector(journals.clone())));
    registry.register_collector(Box::new(exporters::ExporterCollector(exporters.clone())));
    let removed = exporters::RemovedExporterCollector(journals.clone());
    registry.register_collector(Box::new(removed));
    registry.register_collector(Box::new(plugins::PluginCollector(reloader.plugins())));
    registry.register_collector(Box::new(alerts::AlertCollector(alerts.clone())));
    registry.register_collector(Box::new(collection::CollectionCollector(
        storages.monitor(),
    )));
    registry.register_collector(Box::new(drivers::DriverCollector {
        processes: reloader.drivers().processes().clone(),
        storages: storages.monitor(),
    }));
    let is_known = storages.fault().is_none();
    registry.register_collector(Box::new(inventory::InventoryCollector { is_known }));
    registry.register_collector(Box::new(process::ProcessCollector::started_now()));
    registry
}

/// A registry with what a standby knows.
pub(super) fn standby_registry(member: &ClusterMember, table: &Arc<ConnectionTable>) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    register_cluster(&mut registry, member);
    registry.register_collector(Box::new(process::ProcessCollector::started_now()));
    register_connections(&mut registry, table);
    registry
}

/// Adds the role in the cluster.
pub(super) fn register_cluster(registry: &mut Registry, member: &ClusterMember) {
    registry.register_collector(Box::new(cluster::ClusterCollector(member.clone())));
}

/// Adds the connections of clients.
pub(super) fn register_connections(registry: &mut Registry, table: &Arc<ConnectionTable>) {
    let collector = connections::ConnectionCollector(Arc::clone(table));
    registry.register_collector(Box::new(collector));
}

/// Adds the counters of SNMP traps.
pub(super) fn register_traps(registry: &mut Registry, stats: Arc<TrapStats>, drops: DropCounter) {
    registry.register_collector(Box::new(traps::TrapCollector { stats, drops }));
}

/// Adds the counters of syslog messages.
pub(super) fn register_syslog(
    registry: &mut Registry,
    stats: Arc<SyslogStats>,
    drops: Option<DropCounter>,
) {
    registry.register_collector(Box::new(syslog::SyslogCollector { stats, drops }));
}

/// Adds the memory of batches.
pub(super) fn register_memory(registry: &mut Registry, budget: &Arc<MemoryBudget>) {
    let collector = memory::MemoryCollector(Arc::clone(budget));
    registry.register_collector(Box::new(collector));
}

/// Answers with all metrics.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((
        status = 200,
        description = "The Prometheus text format, or OpenMetrics if the client accepts it",
        content((String = "text/plain"), (String = "application/openmetrics-text")),
    )),
)]
pub(super) async fn metrics(
    State(registry): State<Arc<Registry>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let accepted = headers.get_all(ACCEPT).into_iter();
    let openmetrics = accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/openmetrics-text"));
    let (content_type, page) = blocking(move || {
        let mut page = String::new();
        // Writing to a text cannot fail, and a collector leaves out what it cannot read.
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
