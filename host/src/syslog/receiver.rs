//! Starts and stops the receivers of all transports.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::timeout,
};

use super::{
    datagrams::DatagramReader,
    input::SyslogInput,
    mapping::SyslogMappings,
    senders::SenderAddresses,
    stats::{SyslogStats, SyslogTransport},
    streams::StreamServer,
    writer::SyslogWriter,
};
use crate::{
    access::{TlsFileError, TlsStore},
    batch_journal::BatchJournal,
    config::SyslogConfig,
    notification::{AlertAppender, DatagramSocket, MappingSet},
    platform::DropCounter,
    storages::Storages,
};

/// The most accepted messages that are not durable yet.
const MAX_WAITING: usize = 16_384;
/// How long the end waits for what was accepted.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the receiver cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SyslogStartError {
    #[error(
        "cannot receive syslog messages on `{address}` (is the port in use, or below 1024 without the privilege? set `syslog.{setting}`)"
    )]
    Listen {
        setting: &'static str,
        address: SocketAddr,
        source: io::Error,
    },
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    #[error("cannot start to receive syslog messages")]
    Start(#[source] io::Error),
}

/// What the receiver needs of the host.
pub struct SyslogParts<'a> {
    pub config: &'a SyslogConfig,
    pub mappings: MappingSet<SyslogMappings>,
    pub storages: Arc<Storages>,
    pub journal: Arc<BatchJournal>,
}

/// The running receivers.
#[derive(Debug)]
pub struct SyslogReceiver {
    stats: Arc<SyslogStats>,
    drops: Option<DropCounter>,
    stop: Arc<AtomicBool>,
    /// The servers of streams, and the task that follows the addresses.
    tasks: Vec<JoinHandle<()>>,
    writer: JoinHandle<()>,
}

impl SyslogReceiver {
    /// Starts to receive. `None` if no address is set.
    ///
    /// # Errors
    ///
    /// An address cannot be bound, or the certificate cannot be used.
    pub async fn start(parts: SyslogParts<'_>) -> Result<Option<Self>, SyslogStartError> {
        let config = parts.config;
        if !config.is_on() {
            return Ok(None);
        }
        let senders = SenderAddresses::default();
        senders.refresh(&parts.storages, &config.senders).await;
        let stats = Arc::new(SyslogStats::default());
        let (sender, received) = mpsc::channel(MAX_WAITING);
        let input = SyslogInput {
            senders: senders.clone(),
            stats: Arc::clone(&stats),
            received: sender,
            max_message_bytes: usize::try_from(config.max_message_bytes).unwrap_or(usize::MAX),
            limiter: Arc::default(),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = start_streams(config, &input).await?;
        let drops = start_datagrams(config, input, &stop)?;
        let writer = SyslogWriter {
            mappings: parts.mappings,
            min_severity: config.min_severity,
            storages: Arc::clone(&parts.storages),
            appender: AlertAppender {
                journal: parts.journal,
                input: "syslog",
            },
            stats: Arc::clone(&stats),
        };
        let configured = config.senders.clone();
        tasks.push(tokio::spawn(senders.follow(parts.storages, configured)));
        Ok(Some(Self {
            stats,
            drops,
            stop,
            tasks,
            writer: tokio::spawn(writer.run(received)),
        }))
    }

    /// What is counted. The kernel counts datagrams only.
    #[must_use]
    pub fn counters(&self) -> (Arc<SyslogStats>, Option<DropCounter>) {
        (Arc::clone(&self.stats), self.drops)
    }

    /// Receives nothing more, and waits until what was accepted is durable.
    pub async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.abort();
        }
        if timeout(DRAIN_TIMEOUT, self.writer).await.is_err() {
            let waiting = self.stats.waiting();
            log::error!(messages = waiting; "syslog messages were lost: the journal did not take their alerts before the host stopped");
        }
    }
}

async fn start_streams(
    config: &SyslogConfig,
    input: &SyslogInput,
) -> Result<Vec<JoinHandle<()>>, SyslogStartError> {
    let places = Arc::new(Semaphore::new(config.max_connections));
    let mut tasks = Vec::new();
    let addresses = [
        ("listen_tcp", SyslogTransport::Tcp, config.listen_tcp),
        ("listen_tls", SyslogTransport::Tls, config.listen_tls),
    ];
    for (setting, transport, address) in addresses {
        let Some(address) = address else {
            continue;
        };
        let tls = match (transport, &config.tls) {
            (SyslogTransport::Tls, Some(files)) => Some(Arc::new(TlsStore::open(files.clone())?)),
            _ => None,
        };
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|source| SyslogStartError::Listen {
            setting,
            address,
            source,
        })?;
        let address = listener.local_addr().map_err(SyslogStartError::Start)?;
        log::info!(transport = transport.as_str(), address:%; "receiving syslog messages");
        let server = StreamServer {
            listener,
            tls,
            input: input.clone(),
            places: Arc::clone(&places),
        };
        tasks.push(tokio::spawn(server.run()));
    }
    Ok(tasks)
}

fn start_datagrams(
    config: &SyslogConfig,
    input: SyslogInput,
    stop: &Arc<AtomicBool>,
) -> Result<Option<DropCounter>, SyslogStartError> {
    let Some(address) = config.listen_udp else {
        return Ok(None);
    };
    let socket = DatagramSocket::bind(address, config.receive_buffer);
    let socket = socket.map_err(|source| SyslogStartError::Listen {
        setting: "listen_udp",
        address,
        source,
    })?;
    log::info!(transport = "udp", address:% = socket.address(); "receiving syslog messages");
    let drops = socket.drop_counter();
    let reader = DatagramReader {
        socket,
        input,
        stop: Arc::clone(stop),
    };
    std::thread::Builder::new()
        .name("syslog".to_owned())
        .spawn(move || reader.run())
        .map_err(SyslogStartError::Start)?;
    Ok(Some(drops))
}
