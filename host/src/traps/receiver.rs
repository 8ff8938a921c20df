//! Receives traps: a thread reads and opens datagrams, a task makes them durable.
//!
//! Promises: an inform is acknowledged only when its alert is in the journal, and what was
//! accepted stays in memory until then. If the journal does not take it, nothing more is read,
//! the kernel drops further datagrams, and its count is a metric.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_snmp::v3::{DesSaltState, PersistedDesSaltState, SaltCounter};
use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use super::{
    acknowledgement::Answerer,
    engine::LocalEngine,
    mapping::TrapMappings,
    message::Opener,
    opened::{PendingTrap, RefusedDatagram},
    source::{Lookup, SenderTable},
    stats::{TrapRefusal, TrapStats},
    usm::UsmReceiver,
    writer::{AlertWriter, TrapWriter},
};
use crate::{
    batch_journal::BatchJournal,
    config::TrapsConfig,
    logging::{Admission, LogLimiter},
    notification::{AlertAppender, DatagramSocket, MappingSet},
    panics,
    platform::DropCounter,
    storages::{AlertSources, Storages, UsedAlertSources},
};

/// The most accepted notifications that are not durable yet.
const MAX_WAITING: usize = 16_384;
/// The largest datagram.
const MAX_DATAGRAM: usize = 65_535;
/// How often the names of alert sources are resolved again.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(60);
/// How long the end waits for what was accepted.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the receiver cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TrapStartError {
    #[error(
        "cannot receive traps on `{address}` (is the port in use, or below 1024 without the privilege? set `traps.listen`)"
    )]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error(
        "cannot write the SNMP engine of this host to `state_dir` (check its owner and its disk)"
    )]
    Engine(#[source] io::Error),
    #[error("cannot start to receive traps")]
    Start(#[source] io::Error),
}

/// What the receiver needs of the host.
pub struct TrapParts<'a> {
    pub config: &'a TrapsConfig,
    pub state_dir: &'a Path,
    pub mappings: MappingSet<TrapMappings>,
    pub storages: Arc<Storages>,
    pub journal: Arc<BatchJournal>,
}

/// A running receiver.
#[derive(Debug)]
pub struct TrapReceiver {
    stats: Arc<TrapStats>,
    drops: DropCounter,
    stop: Arc<AtomicBool>,
    writer: JoinHandle<()>,
    sources: JoinHandle<()>,
}

/// The state of the thread.
struct TrapReader {
    socket: Arc<DatagramSocket>,
    opener: Opener,
    table: Arc<RwLock<SenderTable>>,
    stats: Arc<TrapStats>,
    received: mpsc::Sender<PendingTrap>,
    stop: Arc<AtomicBool>,
    limiter: LogLimiter,
}

impl TrapReceiver {
    /// Starts to receive on an address.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, or the engine of the host not be written.
    pub async fn start(address: SocketAddr, parts: TrapParts<'_>) -> Result<Self, TrapStartError> {
        let buffer = parts.config.receive_buffer;
        let socket = DatagramSocket::bind(address, buffer)
            .map_err(|source| TrapStartError::Listen { address, source })?;
        let socket = Arc::new(socket);
        let answerer = Arc::new(answerer(parts.state_dir).map_err(TrapStartError::Engine)?);
        let stats = Arc::new(TrapStats::default());
        let mut sources = parts.storages.watch_alert_sources();
        let first = sources.borrow_and_update().clone();
        let senders = SenderTable::default().updated(&first, Lookup::All).await;
        let used = parts.storages.used_alert_sources();
        used.set(first);
        let table = Arc::new(RwLock::new(senders.clone()));
        let (sender, received) = mpsc::channel(MAX_WAITING);
        let stop = Arc::new(AtomicBool::new(false));
        let reader = TrapReader {
            socket: Arc::clone(&socket),
            opener: Opener {
                usm: UsmReceiver::new(Arc::clone(&answerer)),
            },
            table: Arc::clone(&table),
            stats: Arc::clone(&stats),
            received: sender,
            stop: Arc::clone(&stop),
            limiter: LogLimiter::default(),
        };
        std::thread::Builder::new()
            .name("traps".to_owned())
            .spawn(move || reader.run())
            .map_err(TrapStartError::Start)?;
        let mapping_files = parts.mappings.get().files();
        let writer = TrapWriter::new(AlertWriter {
            mappings: parts.mappings,
            storages: parts.storages,
            appender: AlertAppender {
                journal: parts.journal,
                input: "traps",
            },
            stats: Arc::clone(&stats),
            socket: Arc::clone(&socket),
            answerer,
            without_driver: Mutex::default(),
        });
        log::info!(address:% = socket.address(), mapping_files = mapping_files; "receiving traps");
        Ok(Self {
            drops: socket.drop_counter(),
            stats,
            stop,
            writer: tokio::spawn(writer.run(received)),
            sources: tokio::spawn(follow_sources(sources, used, senders, table)),
        })
    }

    /// What is counted of it.
    #[must_use]
    pub fn counters(&self) -> (Arc<TrapStats>, DropCounter) {
        (Arc::clone(&self.stats), self.drops)
    }

    /// Receives nothing more, and waits until what was accepted is durable.
    pub async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.sources.abort();
        if timeout(DRAIN_TIMEOUT, self.writer).await.is_err() {
            let waiting = self.stats.waiting();
            log::error!(traps = waiting; "traps were lost: the journal did not take them before the host stopped");
        }
    }
}

impl TrapReader {
    fn run(mut self) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        while !self.stop.load(Ordering::Relaxed) {
            match self.socket.receive(&mut buffer) {
                Ok(Some((length, from))) => {
                    let datagram = Bytes::copy_from_slice(&buffer[..length]);
                    if !self.handle(datagram, from) {
                        return;
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    self.report("socket", &error.to_string(), |suppressed| {
                        log::error!(error:%, suppressed; "traps cannot be received, retrying");
                    });
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    /// Returns whether anything waits for notifications.
    fn handle(&mut self, datagram: Bytes, from: SocketAddr) -> bool {
        let opened = {
            let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
            let opener = &mut self.opener;
            // What cannot be decoded is malformed, also for a library that panics at it.
            panics::catch(|| opener.open(datagram, from.ip(), &table))
                .unwrap_or_else(|| Err(TrapRefusal::Malformed.into()))
        };
        match opened {
            Ok(opened) => {
                self.stats.count_accepted(opened.notification.is_inform);
                self.received
                    .blocking_send(PendingTrap { opened, from })
                    .is_ok()
            }
            Err(RefusedDatagram { refusal, report }) => {
                if let Some(report) = report {
                    self.socket.send(&report, from);
                }
                self.refuse(refusal, from);
                true
            }
        }
    }

    fn refuse(&self, refusal: TrapRefusal, from: SocketAddr) {
        self.stats.count_refused(refusal);
        if refusal == TrapRefusal::Discovery {
            return;
        }
        let sender = from.ip();
        self.report(refusal.label(), &sender.to_string(), |suppressed| {
            log::warn!(sender:%, suppressed; "a trap was refused: {refusal}");
        });
    }

    /// Logs what anyone in the network can cause again and again.
    fn report(&self, kind: &str, text: &str, log: impl FnOnce(u64)) {
        if let Admission::Logged { suppressed } = self.limiter.admit(kind, text, Instant::now()) {
            log(suppressed);
        }
    }
}

/// Brings the table up to date when an alert source changes, and resolves names again.
async fn follow_sources(
    mut sources: watch::Receiver<AlertSources>,
    used: UsedAlertSources,
    mut senders: SenderTable,
    table: Arc<RwLock<SenderTable>>,
) {
    loop {
        let lookup = match timeout(RESOLVE_INTERVAL, sources.changed()).await {
            Ok(Err(_)) => return,
            Err(_) if !senders.has_names() => continue,
            Ok(Ok(())) => Lookup::New,
            Err(_) => Lookup::All,
        };
        let now = sources.borrow_and_update().clone();
        senders = senders.updated(&now, lookup).await;
        *table.write().unwrap_or_else(PoisonError::into_inner) = senders.clone();
        used.set(now);
    }
}

fn answerer(state_dir: &Path) -> io::Result<Answerer> {
    let engine = LocalEngine::open(state_dir)?;
    let (boots, _) = engine.boots_time();
    // The number of starts makes the salts of this one different from those before.
    let earlier = PersistedDesSaltState::new(boots.max(1)).map_err(io::Error::other)?;
    let stored = |_: &PersistedDesSaltState| Ok::<(), io::Error>(());
    Ok(Answerer {
        des_salts: DesSaltState::restart(earlier, stored).map_err(io::Error::other)?,
        aes_salts: SaltCounter::new().map_err(io::Error::other)?,
        engine,
    })
}
