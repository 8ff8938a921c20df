//! The state of the interface, and the parts of it that handlers take.

use std::sync::Arc;

use axum::extract::FromRef;
use delfin_plugin_api::connections::ConnectionTable;
use prometheus_client::registry::Registry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{
    error::ApiError,
    metrics::{self, IngestMetrics},
};
use crate::{
    alert::ActiveAlerts,
    batch_journal::BatchJournals,
    config::{ApiConfig, JournalConfig},
    exporters::{ExporterSet, Reloader},
    ingest,
    lifecycle::Phase,
    storages::Storages,
};

/// Connections at a time.
const MAX_CONNECTIONS: usize = 512;

/// Requests that bring batches at a time. Further ones are refused, so that connections
/// are left for health checks, metrics and commands.
const MAX_INGEST_REQUESTS: usize = MAX_CONNECTIONS - 64;

/// Clients that wait for the delivery of their batches at a time. Further ones get
/// their answer without waiting.
const MAX_WAITING_CLIENTS: usize = 256;

/// The parts of the host that the interface shows, changes, or hands batches to.
#[derive(Clone, Debug)]
pub struct ApiParts {
    pub config: ApiConfig,
    pub journal: JournalConfig,
    pub journals: BatchJournals,
    pub alerts: ActiveAlerts,
    pub exporters: ExporterSet,
    pub storages: Arc<Storages>,
    pub reloader: Reloader,
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
    storages: Arc<Storages>,
    reloader: Reloader,
    phase: HostPhase,
    max_body_bytes: MaxBodyBytes,
    min_free_bytes: MinFreeBytes,
    ingest: IngestState,
    connections: Arc<ConnectionTable>,
    registry: Arc<Registry>,
}

/// The phase that the host is in.
#[derive(Clone, Debug)]
pub(super) struct HostPhase(watch::Receiver<Phase>);

/// `api.max_body_bytes`.
#[derive(Clone, Copy, Debug)]
pub(super) struct MaxBodyBytes(pub(super) u64);

/// `journal.min_free_bytes`.
#[derive(Clone, Copy, Debug)]
pub(super) struct MinFreeBytes(pub(super) u64);

/// What the calls that bring batches share.
#[derive(Clone, Debug)]
pub(super) struct IngestState {
    pub(super) journals: BatchJournals,
    pub(super) phase: HostPhase,
    pub(super) limits: ingest::BodyLimits,
    pub(super) metrics: IngestMetrics,
    /// Permits to parse a body: one per processor. More bodies at a time would use
    /// more memory and finish no earlier.
    pub(super) parsing: Arc<Semaphore>,
    /// Permits to wait for the delivery of a batch.
    pub(super) waiting: Arc<Semaphore>,
    pub(super) requests: IngestRequests,
}

/// Permits of requests that bring batches.
#[derive(Clone, Debug)]
pub(super) struct IngestRequests(Arc<Semaphore>);

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
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let ingest = IngestState {
            journals: parts.journals.clone(),
            phase: HostPhase(parts.phase.clone()),
            limits: ingest::BodyLimits::from(&parts.config),
            metrics: IngestMetrics::register(&mut registry),
            parsing: Arc::new(Semaphore::new(processors)),
            waiting: Arc::new(Semaphore::new(MAX_WAITING_CLIENTS)),
            requests: IngestRequests(Arc::new(Semaphore::new(MAX_INGEST_REQUESTS))),
        };
        Self(Arc::new(SharedState {
            journals: parts.journals,
            alerts: parts.alerts,
            exporters: parts.exporters,
            storages: parts.storages,
            reloader: parts.reloader,
            phase: HostPhase(parts.phase),
            max_body_bytes: MaxBodyBytes(parts.config.max_body_bytes),
            min_free_bytes: MinFreeBytes(parts.journal.min_free_bytes),
            ingest,
            connections,
            registry: Arc::new(registry),
        }))
    }

    pub(super) fn connections(&self) -> Arc<ConnectionTable> {
        Arc::clone(&self.0.connections)
    }
}

impl IngestRequests {
    /// # Errors
    ///
    /// Too many such requests are in progress.
    pub(super) fn begin(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        permit.map_err(|_| ApiError::Overloaded {
            reason: "too many batches are being accepted".to_owned(),
        })
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

macro_rules! parts {
    ($($part:ty = $($field:ident).+;)*) => {$(
        impl FromRef<ApiState> for $part {
            fn from_ref(state: &ApiState) -> Self {
                state.0.$($field).+.clone()
            }
        }
    )*};
}

parts! {
    BatchJournals = journals;
    ActiveAlerts = alerts;
    ExporterSet = exporters;
    Arc<Storages> = storages;
    Reloader = reloader;
    HostPhase = phase;
    MaxBodyBytes = max_body_bytes;
    MinFreeBytes = min_free_bytes;
    IngestState = ingest;
    IngestRequests = ingest.requests;
    Arc<Registry> = registry;
}
