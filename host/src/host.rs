//! The host: built from a configuration, run until it is told to stop.
//!
//! Start fails for reasons of the host's own: its state folder, its port. An
//! exporter or a storage that cannot start is shown as failed; the others run.

use std::{future::Future, sync::Arc};

use delfin_plugin_api::{Failure, Kind};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use crate::{
    access::{TlsFileError, TlsStore, TokenFileError, TokenStore},
    alert::{self, ActiveAlerts, AlertTableError, Follower},
    api::{self, ApiListener, ApiParts, ApiState, ListenError},
    audit::AuditLog,
    batch_journal::{BatchJournal, BatchJournals},
    cluster::ClusterMember,
    collect::{CollectedBatch, Destination, DestinationError, UnknownDriver},
    config::{Config, Loaded},
    delivery::ExporterHandle,
    exporters::{self, ExporterSet, ExporterStarter, PauseMarks, Reloader},
    history::History,
    inventory::InventoryPlace,
    journal::{self, Journal, JournalLimits, Journals, OpenError},
    lifecycle::{ABORT_TIMEOUT, Phase},
    mappings::{InputMappingSets, InputMappings},
    memory::MemoryBudget,
    notification::MappingError,
    plugin::Plugins,
    postgres::DatabaseFailure,
    standby::{ActiveMember, Listeners},
    state::{self, StateError},
    storages::{self, StorageParts, Storages},
    syslog::{SyslogParts, SyslogReceiver, SyslogStartError},
    traps::{SourceValidator, TrapParts, TrapReceiver, TrapStartError},
};

/// Why the host cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Journal(#[from] OpenError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    #[error(transparent)]
    Exporters(#[from] exporters::ExporterStartError),
    #[error(transparent)]
    Alerts(#[from] AlertTableError),
    #[error(transparent)]
    Storages(#[from] UnknownDriver),
    #[error(transparent)]
    Mappings(#[from] MappingError),
    #[error(transparent)]
    Traps(#[from] TrapStartError),
    #[error(transparent)]
    Syslog(#[from] SyslogStartError),
    #[error(transparent)]
    Tokens(#[from] TokenFileError),
    #[error("`cluster`: {0}")]
    Cluster(Failure),
    #[error("cannot read which exporters are paused: {0}")]
    PauseMarks(DatabaseFailure),
}

pub struct Host {
    config: Config,
    backends: Journals,
    exporters: ExporterSet,
    reloader: Reloader,
    follower: JoinHandle<()>,
    reopening: JoinHandle<()>,
    storages: Arc<Storages>,
    traps: Option<TrapReceiver>,
    syslog: Option<SyslogReceiver>,
    api: ApiState,
    listener: ApiListener,
    metrics_listener: Option<ApiListener>,
    tls: Option<Arc<TlsStore>>,
    /// `None`: the host belongs to no cluster.
    cluster: Option<ClusterMember>,
    phase: watch::Sender<Phase>,
}

impl Host {
    /// Opens the journals, starts the exporters and starts to collect. `active` is what the host has already as a member of a
    /// cluster.
    ///
    /// # Errors
    ///
    /// The host cannot start for a reason of its own.
    pub async fn start(loaded: Loaded, active: Option<ActiveMember>) -> Result<Self, StartError> {
        let config = loaded.config.clone();
        let mut plugins = tokio::task::block_in_place(|| Plugins::find(&config));
        for remark in plugins.warnings() {
            log::warn!("{remark}");
        }
        let (backends, listeners, cluster) = open_state(&config, active).await?;
        let tls = config.api.tls.clone().map(TlsStore::open).transpose()?;
        let tls = tls.map(Arc::new);
        let tokens = config.tokens().map_err(StartError::Cluster)?;
        let tokens = Arc::new(TokenStore::open(tokens).await?);
        let memory = MemoryBudget::new(config.memory.max);
        let journals = batch_journals(&memory, &backends);
        let (alerts, follower) = open_alerts(&config, &backends, &journals).await?;
        let phase = watch::Sender::new(Phase::Running);
        let follower = tokio::spawn(follower.run(phase.subscribe()));
        let exporters = ExporterSet::default();
        let marks = pause_marks(&config, &backends)?;
        let starter = ExporterStarter::new(&config, &exporters, &journals, &alerts, marks);
        let mappings = InputMappingSets::new(tokio::task::block_in_place(|| {
            InputMappings::load(&config)
        })?);
        let (set, shared) = (exporters.clone(), mappings.clone());
        let reloader = Reloader::new(loaded, starter, set, Arc::default(), shared);
        reloader.start_all(&mut plugins).await?;
        let reopening = tokio::spawn(reloader.clone().reopen_libraries());
        let history = History::default();
        tokio::spawn(history.clone().run(exporters.clone(), journals.clone()));
        let place = inventory_place(&config, &backends);
        let storages = start_storages(&config, place, &journals, &reloader, &alerts)?;
        let removed = storages::end_alerts_of_removed(
            Arc::downgrade(&storages),
            alerts.clone(),
            Arc::clone(&journals.alerts),
        );
        tokio::spawn(removed);
        tokio::spawn(storages::sync_on_schedule(Arc::downgrade(&storages)));
        tokio::spawn(storages::send_resource_series(Arc::downgrade(&storages)));
        tokio::spawn(storages::take_in_moved(Arc::downgrade(&storages)));
        let traps = start_traps(&config, &mappings, &storages, &journals).await?;
        let models = &config.traps.validated_models;
        if !models.is_empty() {
            let (storages, journal) = (Arc::clone(&storages), Arc::clone(&journals.alerts));
            tokio::spawn(SourceValidator::new(storages, journal, models).run());
        }
        let syslog = SyslogReceiver::start(SyslogParts {
            config: &config.syslog,
            mappings: mappings.syslog,
            storages: Arc::clone(&storages),
            journal: Arc::clone(&journals.alerts),
        })
        .await?;
        let inputs = &config.inputs;
        let webhooks = || mappings.webhooks.clone();
        let alertmanager = inputs.alertmanager.enabled.then(webhooks);
        let webhooks = inputs.webhook.enabled.then(webhooks);
        let api = ApiState::new(ApiParts {
            traps: traps.as_ref().map(TrapReceiver::counters),
            syslog: syslog.as_ref().map(SyslogReceiver::counters),
            webhooks,
            alertmanager,
            series_inputs: mappings.series,
            config: config.api.clone(),
            memory,
            tokens,
            audit: AuditLog::new(config.log.audit_file.as_deref()),
            journal: config.journal.clone(),
            unique_sequence_numbers: config.alerts.unique_sequence_numbers.clone(),
            journals,
            alerts,
            exporters: exporters.clone(),
            history,
            storages: Arc::clone(&storages),
            reloader: reloader.clone(),
            pushes_metrics: config.metrics.otlp.is_some(),
            cluster: cluster.clone(),
            phase: phase.subscribe(),
        });
        Ok(Self {
            config,
            backends,
            exporters,
            reloader,
            follower,
            reopening,
            storages,
            traps,
            syslog,
            api,
            listener: listeners.api,
            metrics_listener: listeners.metrics,
            tls,
            cluster,
            phase,
        })
    }

    /// Applies a new configuration.
    #[must_use]
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    #[must_use]
    pub fn storages(&self) -> &Arc<Storages> {
        &self.storages
    }

    #[must_use]
    pub fn journals(&self) -> [Arc<dyn Journal>; 2] {
        self.backends.both()
    }

    /// Runs until `stop` resolves. Then drains: delivers what can be delivered at
    /// once, until `abort` resolves or the drain timeout is over.
    pub async fn run(self, stop: impl Future<Output = ()>, abort: impl Future<Output = ()>) {
        let (closed, close) = tokio::sync::oneshot::channel::<()>();
        let metrics = start_metrics(
            &self.config,
            self.metrics_listener,
            self.tls.clone(),
            &self.api,
        );
        let served = tokio::spawn(api::serve(self.listener, self.tls, self.api, async {
            drop(close.await);
        }));
        stop.await;
        let drain_timeout = self.config.shutdown.drain_timeout;
        log::info!(drain_timeout:? = drain_timeout; "stopping: delivering what can be delivered");
        self.phase.send_replace(Phase::Draining);
        self.reopening.abort();
        if let Some(traps) = self.traps {
            traps.stop().await;
        }
        if let Some(syslog) = self.syslog {
            syslog.stop().await;
        }
        self.storages.stop().await;
        let drained = async {
            self.exporters.drain(Kind::Alert).await;
            self.exporters.drain(Kind::Performance).await;
        };
        tokio::select! {
            _ = timeout(drain_timeout, drained) => {}
            () = abort => {}
        }
        self.phase.send_replace(Phase::Aborting);
        self.exporters.abort_all().await;
        if timeout(ABORT_TIMEOUT, self.follower).await.is_err() {
            log::debug!(
                "the table of active alerts has not caught up; it continues at the next start"
            );
        }
        log_pending(&self.exporters.list());
        drop(closed);
        if timeout(ABORT_TIMEOUT, served).await.is_err() {
            log::debug!("API client kept its connection open past the shutdown timeout");
        }
        for task in metrics {
            task.abort();
        }
        tokio::task::block_in_place(|| {
            self.backends.performance.close();
            self.backends.alerts.close();
            // With them goes the lock of the state folder.
            drop(self.backends);
        });
        if let Some(cluster) = self.cluster {
            cluster.leave().await;
        }
    }
}

/// Opens the journals, and listens. A member of a cluster has done so already.
async fn open_state(
    config: &Config,
    active: Option<ActiveMember>,
) -> Result<(Journals, Listeners, Option<ClusterMember>), StartError> {
    let (backends, listeners, cluster) = match active {
        Some(active) => (active.journals, active.listeners, Some(active.member)),
        None => {
            let limits = JournalLimits::from(&config.journal);
            let backends = tokio::task::block_in_place(|| {
                let lock = state::open(&config.state_dir)?.into();
                let opened = journal::open_locked(&config.state_dir, lock, &limits, None);
                opened.map_err(StartError::from)
            })?;
            (backends, Listeners::bind(config).await?, None)
        }
    };
    let listeners = match &config.api.socket {
        Some(socket) => Listeners {
            api: listeners.api.with_socket(socket)?,
            ..listeners
        },
        None => listeners,
    };
    Ok((backends, listeners, cluster))
}

async fn open_alerts(
    config: &Config,
    backends: &Journals,
    journals: &BatchJournals,
) -> Result<(ActiveAlerts, Follower), AlertTableError> {
    let database = backends.database.clone();
    alert::open(
        &config.state_dir,
        database,
        &config.alerts,
        &journals.alerts,
    )
    .await
}

fn pause_marks(config: &Config, backends: &Journals) -> Result<PauseMarks, StartError> {
    let Some(database) = backends.database.clone() else {
        return Ok(PauseMarks::in_folder(&config.state_dir));
    };
    let marks = tokio::task::block_in_place(|| PauseMarks::in_database(database));
    marks.map_err(StartError::PauseMarks)
}

fn inventory_place(config: &Config, backends: &Journals) -> InventoryPlace {
    let key_file = config.inventory.key_file.as_deref();
    InventoryPlace::new(&config.state_dir, key_file).in_database(backends.database.clone())
}

/// Serves the metrics on an address of their own, and pushes them, if the configuration says so.
/// Both go on until the host has delivered what it can.
fn start_metrics(
    config: &Config,
    listener: Option<ApiListener>,
    tls: Option<Arc<TlsStore>>,
    api: &ApiState,
) -> Vec<JoinHandle<()>> {
    let is_exposed = config.metrics.needs_tokens;
    let served = listener.map(|listener| {
        let api = api.clone();
        tokio::spawn(async move {
            let never = std::future::pending();
            let served = api::serve_metrics(listener, tls, api, is_exposed, never).await;
            if let Err(error) = served {
                log::error!("cannot serve the metrics: {error}");
            }
        })
    });
    let otlp = config.metrics.otlp.clone();
    let pushed = otlp.map(|otlp| {
        let api = api.clone();
        tokio::spawn(async move { api.push_metrics(otlp).await })
    });
    served.into_iter().chain(pushed).collect()
}

async fn start_traps(
    config: &Config,
    mappings: &InputMappingSets,
    storages: &Arc<Storages>,
    journals: &BatchJournals,
) -> Result<Option<TrapReceiver>, TrapStartError> {
    let Some(address) = config.traps.listen else {
        return Ok(None);
    };
    let parts = TrapParts {
        config: &config.traps,
        state_dir: &config.state_dir,
        mappings: mappings.traps.clone(),
        storages: Arc::clone(storages),
        journal: Arc::clone(&journals.alerts),
    };
    TrapReceiver::start(address, parts).await.map(Some)
}

fn start_storages(
    config: &Config,
    place: InventoryPlace,
    journals: &BatchJournals,
    reloader: &Reloader,
    alerts: &ActiveAlerts,
) -> Result<Arc<Storages>, StartError> {
    tokio::task::block_in_place(|| {
        let destination = CollectionDestination(journals.clone());
        let parts = StorageParts {
            declared: &config.storages,
            place,
            registry: reloader.drivers().registry().clone(),
            collection: &config.collection,
            alerts: alerts.clone(),
        };
        Ok(Arc::new(Storages::start(parts, destination)?))
    })
}

/// Accepts batches into the journals. The performance journal knows until when each storage is collected.
struct CollectionDestination(BatchJournals);

impl Destination for CollectionDestination {
    async fn accept(&self, collected: CollectedBatch) -> Result<(), DestinationError> {
        let CollectedBatch {
            batch_id,
            batch,
            until_ms,
        } = collected;
        let journal = self.0.of(batch.rows.kind());
        journal.accept_collected(batch_id, batch, until_ms).await?;
        Ok(())
    }

    async fn collected_until(&self, storage_id: &str) -> Result<Option<i64>, DestinationError> {
        Ok(self.0.performance.collected_until(storage_id).await?)
    }
}

fn batch_journals(memory: &Arc<MemoryBudget>, backends: &Journals) -> BatchJournals {
    let journal = |kind| {
        let backend = Arc::clone(backends.of(kind));
        Arc::new(BatchJournal::new(kind, backend, memory))
    };
    BatchJournals {
        performance: journal(Kind::Performance),
        alerts: journal(Kind::Alert),
    }
}

/// Logs what is still pending.
fn log_pending(exporters: &[ExporterHandle]) {
    let pending: Vec<String> = exporters
        .iter()
        .filter_map(|exporter| {
            let counts = exporter.counts().ok()?;
            (counts.pending > 0).then(|| format!("{} {}", exporter.name, counts.pending))
        })
        .collect();
    if pending.is_empty() {
        log::info!("stopped; nothing is pending");
    } else {
        log::info!(pending = pending.join(", "); "stopped; pending items stay in the journal");
    }
}
