//! The state of the interface, and the parts of it that handlers take.

use std::{collections::BTreeMap, sync::Arc};

use delfin_plugin_api::connections::ConnectionTable;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use super::{
    cors::CorsOrigins,
    error::ApiError,
    metrics::{self, IngestMetrics, InputMetrics, PushCounts},
    permits::{IngestPermits, MAX_INGEST_REQUESTS, TapPermits},
    time_log::TimeLog,
    webhook_log::WebhookLog,
};
use crate::{
    access::TokenStore,
    alert::ActiveAlerts,
    audit::AuditLog,
    batch_journal::BatchJournals,
    cluster::ClusterMember,
    clusters::Clusters,
    config::{ApiConfig, HostAddress, JournalConfig, OtlpPushConfig},
    exporters::{ExporterSet, Reloader},
    history::History,
    ingest::{self, RequestMemory},
    inputs::{SeriesInput, SeriesMappings},
    lifecycle::Phase,
    memory::MemoryBudget,
    notification::MappingSet,
    platform::DropCounter,
    storages::Storages,
    syslog::SyslogStats,
    traps::TrapStats,
    webhooks::WebhookMappings,
};

/// Connections at a time.
pub(super) const MAX_CONNECTIONS: usize = 512;

const _: () = assert!(
    MAX_INGEST_REQUESTS + 64 <= MAX_CONNECTIONS,
    "connections are left for everything else"
);

/// The parts of the host that the interface shows, changes, or hands batches to.
#[derive(Clone, Debug)]
pub struct ApiParts {
    pub config: ApiConfig,
    pub memory: Arc<MemoryBudget>,
    pub tokens: Arc<TokenStore>,
    pub audit: AuditLog,
    pub journal: JournalConfig,
    /// `alerts.unique_sequence_numbers`.
    pub unique_sequence_numbers: Vec<String>,
    pub journals: BatchJournals,
    pub alerts: ActiveAlerts,
    pub exporters: ExporterSet,
    pub history: History,
    pub storages: Arc<Storages>,
    pub reloader: Reloader,
    /// What is counted of SNMP traps, if they are received.
    pub traps: Option<(Arc<TrapStats>, DropCounter)>,
    /// What is counted of syslog messages, if they are received.
    pub syslog: Option<(Arc<SyslogStats>, Option<DropCounter>)>,
    /// The mappings of webhooks, if `inputs.webhook.enabled`.
    pub webhooks: Option<MappingSet<WebhookMappings>>,
    /// The same, if `inputs.alertmanager.enabled`.
    pub alertmanager: Option<MappingSet<WebhookMappings>>,
    /// The mappings of the inputs of series that are on.
    pub series_inputs: BTreeMap<SeriesInput, MappingSet<SeriesMappings>>,
    /// Whether the metrics are pushed, too.
    pub pushes_metrics: bool,
    /// `None`: the host belongs to no cluster.
    pub cluster: Option<ClusterMember>,
    pub phase: watch::Receiver<Phase>,
}

/// The state of the interface. Handlers take the part that they use.
#[derive(Clone, Debug)]
pub struct ApiState(Arc<SharedState>);

#[derive(Debug)]
struct SharedState {
    journals: BatchJournals,
    alerts: ActiveAlerts,
    exporters: ExporterSet,
    history: History,
    storages: Arc<Storages>,
    reloader: Reloader,
    phase: HostPhase,
    max_body_bytes: MaxBodyBytes,
    min_free_bytes: MinFreeBytes,
    hosts: AllowedHosts,
    cors_origins: CorsOrigins,
    tokens: Tokens,
    audit: AuditLog,
    ingest: Arc<IngestState>,
    connections: Arc<ConnectionTable>,
    registry: Arc<Registry>,
    pushes: PushCounts,
    taps: TapPermits,
    cluster: Option<ClusterPart>,
}

/// The phase that the host is in.
#[derive(Clone, Debug)]
pub(super) struct HostPhase(watch::Receiver<Phase>);

/// This host as a member of its cluster, and all clusters of its database.
#[derive(Clone, Debug)]
pub(super) struct ClusterPart {
    pub(super) member: ClusterMember,
    pub(super) clusters: Arc<Clusters>,
}

/// `api.max_body_bytes`.
#[derive(Clone, Copy, Debug)]
pub(super) struct MaxBodyBytes(pub(super) u64);

/// `journal.min_free_bytes`.
#[derive(Clone, Copy, Debug)]
pub(super) struct MinFreeBytes(pub(super) u64);

/// `api.hosts`.
#[derive(Clone, Debug)]
pub(super) struct AllowedHosts(pub(super) Arc<[HostAddress]>);

/// The tokens, and whether clients need one although none exists.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    pub(super) store: Arc<TokenStore>,
    /// Other machines reach the API, and `api.allow_unauthenticated` is not set.
    pub(super) is_exposed: bool,
}

/// What the calls that bring batches share.
#[derive(Debug)]
pub(super) struct IngestState {
    pub(super) journals: BatchJournals,
    pub(super) phase: HostPhase,
    pub(super) limits: ingest::BodyLimits,
    /// `alerts.unique_sequence_numbers`.
    pub(super) unique_sequence_numbers: Vec<String>,
    pub(super) metrics: IngestMetrics,
    pub(super) times: TimeLog,
    pub(super) webhook_log: WebhookLog,
    /// `None`: `inputs.webhook.enabled` is not set.
    pub(super) webhooks: Option<MappingSet<WebhookMappings>>,
    /// `None`: `inputs.alertmanager.enabled` is not set.
    pub(super) alertmanager: Option<MappingSet<WebhookMappings>>,
    /// The inputs of series that are on.
    pub(super) series_inputs: Arc<BTreeMap<SeriesInput, MappingSet<SeriesMappings>>>,
    pub(super) input_metrics: InputMetrics,
    pub(super) permits: IngestPermits,
    pub(super) memory: Arc<RequestMemory>,
    pub(super) max_body_bytes: u64,
}

impl ApiState {
    #[must_use]
    pub fn new(parts: ApiParts) -> Self {
        let connections = ConnectionTable::new(MAX_CONNECTIONS);
        let mut registry = metrics::registry(
            &parts.journals,
            &parts.exporters,
            &parts.reloader,
            &parts.alerts,
            &parts.storages,
        );
        metrics::register_connections(&mut registry, &connections);
        if let Some((stats, drops)) = parts.traps {
            metrics::register_traps(&mut registry, stats, drops);
        }
        if let Some((stats, drops)) = parts.syslog {
            metrics::register_syslog(&mut registry, stats, drops);
        }
        let pushes = PushCounts::default();
        if parts.pushes_metrics {
            pushes.register(&mut registry);
        }
        metrics::register_memory(&mut registry, &parts.memory);
        if let Some(member) = &parts.cluster {
            metrics::register_cluster(&mut registry, member);
        }
        let memory = RequestMemory::new(&parts.memory, parts.config.max_request_memory());
        let ingest = Arc::new(IngestState {
            journals: parts.journals.clone(),
            phase: HostPhase(parts.phase.clone()),
            limits: ingest::BodyLimits::from(&parts.config),
            unique_sequence_numbers: parts.unique_sequence_numbers,
            metrics: IngestMetrics::register(&mut registry),
            times: TimeLog::default(),
            webhook_log: WebhookLog::default(),
            webhooks: parts.webhooks,
            alertmanager: parts.alertmanager,
            input_metrics: InputMetrics::register(&mut registry, parts.series_inputs.keys()),
            series_inputs: Arc::new(parts.series_inputs),
            permits: IngestPermits::new(),
            memory,
            max_body_bytes: parts.config.max_body_bytes,
        });
        Self(Arc::new(SharedState {
            journals: parts.journals,
            alerts: parts.alerts,
            exporters: parts.exporters,
            history: parts.history,
            storages: parts.storages,
            reloader: parts.reloader,
            phase: HostPhase(parts.phase),
            max_body_bytes: MaxBodyBytes(parts.config.max_body_bytes),
            min_free_bytes: MinFreeBytes(parts.journal.min_free_bytes),
            audit: parts.audit,
            tokens: Tokens {
                store: parts.tokens,
                is_exposed: parts.config.needs_tokens(),
            },
            cors_origins: CorsOrigins(parts.config.cors_origins.into()),
            hosts: AllowedHosts(parts.config.hosts.into()),
            ingest,
            connections,
            registry: Arc::new(registry),
            pushes,
            taps: TapPermits::new(),
            cluster: parts.cluster.map(ClusterPart::from),
        }))
    }

    /// Pushes the metrics, for as long as the host runs.
    pub async fn push_metrics(&self, config: OtlpPushConfig) {
        let (registry, counts) = (Arc::clone(&self.0.registry), self.0.pushes.clone());
        metrics::push_metrics(config, registry, counts).await;
    }

    pub(super) fn connections(&self) -> Arc<ConnectionTable> {
        Arc::clone(&self.0.connections)
    }
}

impl From<ClusterMember> for ClusterPart {
    fn from(member: ClusterMember) -> Self {
        let clusters = Arc::new(Clusters::around(&member));
        Self { member, clusters }
    }
}

impl HostPhase {
    pub(super) fn get(&self) -> Phase {
        *self.0.borrow()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Phase> {
        self.0.clone()
    }

    /// # Errors
    ///
    /// The host is stopping: it takes nothing any more.
    pub(super) fn require_running(&self) -> Result<(), ApiError> {
        match self.get() {
            Phase::Running => Ok(()),
            Phase::Draining | Phase::Stopping | Phase::Aborting => Err(ApiError::Stopping),
        }
    }
}

/// Lets handlers extract fields of a state.
macro_rules! parts {
    ($state:ty: $($part:ty = $($field:ident).+;)*) => {$(
        impl axum::extract::FromRef<$state> for $part {
            fn from_ref(state: &$state) -> Self {
                state.0.$($field).+.clone()
            }
        }
    )*};
}
pub(super) use parts;

parts! {
    ApiState:
    BatchJournals = journals;
    ActiveAlerts = alerts;
    ExporterSet = exporters;
    History = history;
    Arc<Storages> = storages;
    Reloader = reloader;
    HostPhase = phase;
    MaxBodyBytes = max_body_bytes;
    MinFreeBytes = min_free_bytes;
    AllowedHosts = hosts;
    CorsOrigins = cors_origins;
    Tokens = tokens;
    AuditLog = audit;
    Arc<IngestState> = ingest;
    Arc<RequestMemory> = ingest.memory;
    Arc<Registry> = registry;
    TapPermits = taps;
    Option<ClusterPart> = cluster;
}
