//! A host to test: journals in a folder of its own, and the interface on a port
//! that the system chose.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::extract::FromRef;
use delfin_plugin_api::Kind;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    sync::{oneshot, watch},
};
use ureq::http::{Request, Response};

use crate::{
    access::{TokenFile, TokenPlace, TokenStore},
    alert,
    api::{ApiParts, ApiState, serve, state::IngestState},
    audit::AuditLog,
    batch::Seq,
    batch_journal::{BatchJournal, BatchJournals},
    collect::{
        AlertBuilder, Capabilities, CollectedBatch, Destination, DestinationError, Driver,
        DriverError, DriverOptions, DriverRegistry, ResourceFields, ResourceKind, SeriesBuilder,
        StorageInfo, TimeWindow, drivers::fake,
    },
    config::{
        self, AlertsConfig, ApiConfig, CollectionConfig, JournalConfig, Loaded, Source,
        StorageConfig,
    },
    delivery::{DeliveryParts, State},
    exporters::{ExporterSet, ExporterStarter, PauseMarks, Reloader},
    history::History,
    inputs::{SeriesInput, SeriesMappings},
    inventory::InventoryPlace,
    journal::{self, Commit, JournalLimits, Journals, Position, Receipt, StartFrom},
    lifecycle::Phase,
    mappings::{InputMappingSets, InputMappings},
    memory::MemoryBudget,
    notification::MappingSet,
    plugin::{PluginExporterView, PluginView},
    storages::{StorageParts, Storages},
};

/// The exporter of performance batches, which no plugin offers.
pub(super) const EXPORTER: &str = "prometheus";

/// The body of a request that brings two points.
pub(super) const TWO_POINTS: &str = r#"[{"name":"iops","labels":{"storage_id":"s1"},"values":{"1700000001000":1.5,"1700000002000":2.5}}]"#;

pub(super) struct Host {
    pub(super) runtime: Runtime,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) journals: Journals,
    pub(super) ingest: Arc<IngestState>,
    pub(super) memory: Arc<MemoryBudget>,
    address: SocketAddr,
    agent: ureq::Agent,
    stop: Option<oneshot::Sender<()>>,
    folder: TempDir,
}

/// `memory.max`: little, so that a test can use all of it.
const MEMORY: u64 = 16 << 20;

/// An answer, taken apart.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: Response<()>,
    pub(super) body: String,
}

impl Host {
    pub(super) fn start() -> Self {
        Self::with(ApiConfig::default(), JournalConfig::default())
    }

    pub(super) fn with(config: ApiConfig, journal: JournalConfig) -> Self {
        Self::made(config, journal, Vec::new(), |_| {})
    }

    /// A host with storages that its configuration declares.
    pub(super) fn with_storages(declared: Vec<StorageConfig>) -> Self {
        Self::with_state(declared, |_| {})
    }

    /// A host that finds files in its state folder.
    pub(super) fn with_state(declared: Vec<StorageConfig>, prepare: impl FnOnce(&Path)) -> Self {
        let config = ApiConfig::default();
        Self::made(config, JournalConfig::default(), declared, prepare)
    }

    fn made(
        config: ApiConfig,
        journal: JournalConfig,
        declared: Vec<StorageConfig>,
        prepare: impl FnOnce(&Path),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let runtime = Runtime::new().unwrap();
        let limits = JournalLimits {
            min_free_bytes: 0,
            max_commit_delay: Duration::ZERO,
            ..JournalLimits::from(&journal)
        };
        let backends = journal::open(folder.path(), &limits).unwrap();
        let memory = MemoryBudget::new(MEMORY);
        let batch_journal = |kind| {
            let backend = Arc::clone(backends.of(kind));
            Arc::new(BatchJournal::new(kind, backend, &memory))
        };
        let journals = BatchJournals {
            performance: batch_journal(Kind::Performance),
            alerts: batch_journal(Kind::Alert),
        };
        let (phase, watched) = watch::channel(Phase::Running);
        let exporters = runtime.block_on(failed_exporter(&journals, folder.path()));
        let limits = AlertsConfig::default();
        let opened = alert::open(folder.path(), None, &limits, &journals.alerts);
        let (alerts, follower) = runtime.block_on(opened).unwrap();
        runtime.spawn(follower.run(watched.clone()));
        let storages = {
            let _within = runtime.enter();
            let parts = StorageParts {
                declared: &declared,
                place: InventoryPlace::new(folder.path(), None),
                registry: small_fakes(),
                collection: &CollectionConfig::default(),
                alerts: alerts.clone(),
            };
            Storages::start(parts, Keeps(journals.clone())).unwrap()
        };
        let storages = Arc::new(storages);
        let state = ApiState::new(ApiParts {
            pushes_metrics: false,
            cluster: None,
            config,
            memory: Arc::clone(&memory),
            tokens: Arc::new(TokenStore::in_file(TokenFile::new(folder.path())).unwrap()),
            audit: AuditLog::default(),
            journal,
            unique_sequence_numbers: AlertsConfig::default().unique_sequence_numbers,
            reloader: reloader(&journals, &alerts, &exporters),
            journals,
            alerts,
            exporters,
            history: History::default(),
            storages,
            traps: None,
            syslog: None,
            webhooks: None,
            alertmanager: None,
            series_inputs: SeriesInput::ALL
                .into_iter()
                .map(|input| {
                    let mappings = SeriesMappings::load(input, Path::new("/nonexistent")).unwrap();
                    (input, MappingSet::new(mappings))
                })
                .collect(),
            phase: watched,
        });
        let ingest = Arc::<IngestState>::from_ref(&state);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        runtime.spawn(serve(listener.into(), None, state, async {
            let _ = stopped.await;
        }));
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build();
        Self {
            runtime,
            phase,
            journals: backends,
            ingest,
            memory,
            address,
            agent: agent.into(),
            stop: Some(stop),
            folder,
        }
    }

    /// The tokens of this host.
    pub(super) fn tokens(&self) -> TokenPlace {
        TokenPlace::File(TokenFile::new(self.folder.path()))
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], &[])
    }

    /// Sends JSON.
    pub(super) fn post(&self, path: &str, body: &str) -> Answer {
        let json = [("Content-Type", "application/json")];
        self.send("POST", path, &json, body.as_bytes())
    }

    pub(super) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = self.agent.run(request.body(body).unwrap()).unwrap();
        let body = response.body_mut().read_to_string().unwrap();
        let (head, _) = response.into_parts();
        Answer {
            status: head.status.as_u16(),
            head: Response::from_parts(head, ()),
            body,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops serving; what is under way is finished.
    pub(super) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Says that the exporter has delivered these items.
    pub(super) fn deliver(&self, through: Seq, items: u64) {
        let commit = Commit::delivered(Position::after(through), items);
        let journal = self.journals.of(Kind::Performance);
        let committed = self.runtime.block_on(journal.commit(EXPORTER, commit));
        committed.unwrap();
    }
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap())
    }

    /// Holds that this is an error in Delfin's format.
    pub(super) fn is_error(&self, status: u16, code: &str, message: &str) {
        let json = self.json();
        assert_eq!(
            (self.status, json["error_code"].as_str()),
            (status, Some(code)),
            "{json}"
        );
        assert_eq!(json["error_msg"], message);
        assert!(json["error_args"].is_array(), "{json}");
        assert_eq!(json.as_object().unwrap().len(), 3, "{json}");
        self.has_request_id();
    }

    pub(super) fn has_request_id(&self) {
        let id = self.header("x-compute-request-id").unwrap();
        let uuid = id.strip_prefix("req-").unwrap();
        uuid.parse::<uuid::Uuid>().unwrap();
    }

    pub(super) fn batch_id(&self) -> String {
        assert_eq!(self.status, 202, "{}", self.body);
        self.json()["batch_id"].as_str().unwrap().to_owned()
    }
}

/// Fake storages with few resources: it is not points that are tested here. And
/// one that turns everybody away, and repeats what it was told.
fn small_fakes() -> DriverRegistry {
    let registry = DriverRegistry::empty();
    registry.add("fake_storage", "chatty_driver", |target| {
        Err(DriverError::Refused {
            reason: format!("no login with {}", target.options["rest"]),
        })
    });
    registry.add("fake_storage", "port_driver", |target| {
        Ok(Box::new(PortDriver {
            fake: fake::FakeDriver::new(target.storage_id, &small(&DriverOptions::new()))?,
            port: target.options["rest"]["port"].to_string(),
        }))
    });
    registry.add(fake::VENDOR, fake::MODEL, |target| {
        Ok(Box::new(fake::FakeDriver::new(
            target.storage_id,
            &small(target.options),
        )?))
    });
    registry
}

fn small(options: &DriverOptions) -> DriverOptions {
    let mut options = options.clone();
    for name in ["storage_pools", "volumes", "disks"] {
        options.insert(name.to_owned(), 1.into());
    }
    options
}

/// A fake storage whose serial number is its port, and whose firmware is new at each question.
/// It does not say what it is while a test holds the gate.
pub(super) struct PortDriver {
    fake: fake::FakeDriver,
    port: String,
}

static GATE: Mutex<u64> = Mutex::new(0);
/// The ports of the storages that were asked what they are.
static ASKED: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl PortDriver {
    pub(super) fn gate() -> MutexGuard<'static, u64> {
        GATE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the storage with a port was asked what it is.
    pub(super) fn times_asked(port: &str) -> usize {
        let ports = Self::asked();
        ports.iter().filter(|one| *one == port).count()
    }

    fn asked() -> MutexGuard<'static, Vec<String>> {
        ASKED.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Driver for PortDriver {
    fn storage(&mut self) -> Result<StorageInfo, DriverError> {
        let mut info = self.fake.storage()?;
        Self::asked().push(self.port.clone());
        let mut answers = Self::gate();
        *answers += 1;
        info.details.firmware_version = Some(answers.to_string());
        info.serial_number.clone_from(&self.port);
        Ok(info)
    }

    fn capabilities(&mut self) -> Result<Capabilities, DriverError> {
        self.fake.capabilities()
    }

    fn collect(
        &mut self,
        window: TimeWindow,
        series: &mut SeriesBuilder<'_>,
    ) -> Result<(), DriverError> {
        self.fake.collect(window, series)
    }

    fn list_alerts(
        &mut self,
        range: Option<TimeWindow>,
        alerts: &mut AlertBuilder<'_>,
    ) -> Result<(), DriverError> {
        self.fake.list_alerts(range, alerts)
    }

    fn clear_alert(&mut self, sequence_number: &str) -> Result<(), DriverError> {
        self.fake.clear_alert(sequence_number)
    }

    fn list_resources(&mut self, kind: ResourceKind) -> Result<Vec<ResourceFields>, DriverError> {
        self.fake.list_resources(kind)
    }
}

/// A storage of the configuration.
pub(super) fn declared() -> StorageConfig {
    StorageConfig {
        id: uuid::Uuid::from_u128(7),
        name: "declared".to_owned(),
        vendor: fake::VENDOR.to_owned(),
        model: fake::MODEL.to_owned(),
        host: None,
        options: Arc::default(),
        performance_interval: Some(Duration::from_hours(1)),
        alerts_interval: Duration::from_hours(1),
        labels: Arc::default(),
    }
}

/// Accepts alerts, and discards points.
struct Keeps(BatchJournals);

impl Destination for Keeps {
    async fn accept(&self, collected: CollectedBatch) -> Result<(), DestinationError> {
        let batch = collected.batch;
        if batch.rows.kind() == Kind::Alert {
            self.0.alerts.accept(batch, None).await?;
        }
        Ok(())
    }

    async fn collected_until(&self, _: &str) -> Result<Option<i64>, DestinationError> {
        Ok(None)
    }
}

/// An exporter that has its cursor, and will never start.
async fn failed_exporter(journals: &BatchJournals, folder: &Path) -> ExporterSet {
    let journal = &journals.performance;
    let text = format!(
        "performance_exporters = [\"{EXPORTER}\"]\n[exporter.{EXPORTER}]\nplugin = \"PerformanceExporterPrometheus\"\nrequired = true"
    );
    let mut config = config::parse(&text, &Source::Embedded).unwrap();
    let cursor = journal
        .backend()
        .open_cursor(EXPORTER, StartFrom::Now)
        .await;
    let exporters = ExporterSet::default();
    let config = config.exporters.remove(0);
    let parts = DeliveryParts::without_plugin(config, journal, cursor.unwrap(), folder);
    exporters.start(&parts, None);
    while exporters.get(EXPORTER).unwrap().status.view().state != State::Failed {
        tokio::task::yield_now().await;
    }
    exporters
}

fn reloader(
    journals: &BatchJournals,
    alerts: &alert::ActiveAlerts,
    exporters: &ExporterSet,
) -> Reloader {
    let loaded = Loaded {
        config: config::parse("", &Source::Embedded).unwrap(),
        source: Source::Embedded,
        settings: serde_json::Map::from_iter([(
            "performance_exporters".to_owned(),
            EXPORTER.into(),
        )]),
    };
    let starter = ExporterStarter::new(
        &loaded.config,
        exporters,
        journals,
        alerts,
        PauseMarks::in_folder(&loaded.config.state_dir),
    );
    let plugins = Arc::new([plugin()]);
    let mappings = InputMappingSets::new(InputMappings::default());
    Reloader::new(loaded, starter, exporters.clone(), plugins, mappings)
}

fn plugin() -> PluginView {
    PluginView {
        file: "plugins/libexample.so".to_owned(),
        name: Some("example".to_owned()),
        version: Some("1.2.3".to_owned()),
        exporters: vec![PluginExporterView {
            name: "AlertExporterExample".to_owned(),
            kind: "alert".to_owned(),
            description: "Logs each alert".to_owned(),
        }],
        ..PluginView::default()
    }
}

/// The receipt of the last batch that came in over the interface.
pub(super) fn last(host: &Host) -> Receipt {
    let journal = host.journals.of(Kind::Performance);
    let seq = *journal.head().borrow();
    let record = journal.read(seq).unwrap().unwrap();
    Receipt {
        seq,
        batch_id: record.header.batch_id,
        items: record.header.items,
        repeated: false,
    }
}
