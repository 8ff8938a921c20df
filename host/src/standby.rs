//! A standby: a host of a cluster that waits until it may become active.
//!
//! Promises: it changes nothing in the state, except that the first host of a cluster gives a shared state folder an id. It reads the
//! tokens and this id, opens the other files only to check that it can read them, and starts no plugin. It answers every request of
//! the API, also at its socket, unless that is in a folder that other members share.

mod opening;
mod readiness;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use delfin_plugin_api::Failure;
use tokio::time::{Instant, sleep};

use crate::{
    access::{TlsFileError, TlsStore, TokenFileError, TokenStore},
    api::{self, ApiListener, ListenError, StandbyParts, StandbyState},
    audit::AuditLog,
    cluster::{ClusterMember, JoinError},
    config::{ClusterConfig, Config, Loaded, SocketConfig},
    journal::{Journals, OpenError, StateLock},
    platform::{FileReaders, FolderLock, create_folders, machine_name},
    postgres::DatabaseFailure,
    state::{self, StateError},
};

use self::opening::open_journals;
pub use self::readiness::{Readiness, check_cluster};

/// How often a standby with the lease tries to take the state folder.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);

/// How often it says that it cannot.
const LOCK_REPORT_INTERVAL: Duration = Duration::from_secs(30);

/// Why the host cannot be a standby.
#[derive(Debug, thiserror::Error)]
pub enum StandbyError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    #[error(transparent)]
    Tokens(#[from] TokenFileError),
    #[error(transparent)]
    Join(#[from] JoinError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Journal(#[from] OpenError),
    #[error("the journals were not opened")]
    Opening(#[source] tokio::task::JoinError),
    #[error("`cluster`: {0}")]
    Cluster(Failure),
    #[error("cannot take the state of the cluster: {0}")]
    ClusterState(DatabaseFailure),
    #[error("cannot create a temporary folder")]
    Temporary(#[source] io::Error),
    #[error("cannot tell where the API listens")]
    Address(#[source] io::Error),
}

/// Where a host listens, before its state folder is open.
#[derive(Debug)]
pub struct Listeners {
    pub api: ApiListener,
    pub metrics: Option<ApiListener>,
}

pub struct Standby {
    config: Config,
    member: ClusterMember,
    listeners: Listeners,
    tls: Option<Arc<TlsStore>>,
    state: StandbyState,
}

/// A host that has the lease, and so may use the state folder.
#[derive(Debug)]
pub struct ActiveMember {
    pub member: ClusterMember,
    pub listeners: Listeners,
    /// They have the lock of the state folder.
    pub journals: Journals,
}

impl Listeners {
    /// # Errors
    ///
    /// An address cannot be used.
    pub async fn bind(config: &Config) -> Result<Self, ListenError> {
        Ok(Self {
            api: ApiListener::bind(&config.api).await?,
            metrics: match config.metrics.listen {
                Some(address) => Some(ApiListener::bind_metrics(address).await?),
                None => None,
            },
        })
    }
}

impl Standby {
    /// Listens, and joins the cluster. `on_lost` must end the process.
    ///
    /// # Errors
    ///
    /// An address or a file cannot be used.
    pub async fn start(
        config: &Config,
        cluster: &ClusterConfig,
        on_lost: impl FnOnce(&str) + Send + 'static,
    ) -> Result<Self, StandbyError> {
        let mut listeners = Listeners::bind(config).await?;
        if let Some(socket) = own_socket(config, cluster)? {
            listeners.api = listeners.api.with_socket(socket)?;
        }
        let tls = config.api.tls.clone().map(TlsStore::open).transpose()?;
        let tokens = config.tokens().map_err(StandbyError::Cluster)?;
        let tokens = Arc::new(TokenStore::open(tokens).await?);
        let address = match &cluster.address {
            Some(address) => address.clone(),
            None => {
                let listens = listeners.api.address().map_err(StandbyError::Address)?;
                reachable(listens, tls.is_some())
            }
        };
        let shared_folder = (!cluster.has_state_in_database()).then(|| config.state_dir.clone());
        let member = ClusterMember::join(cluster, address, shared_folder, on_lost)?;
        log::info!(member = cluster.member, cluster = cluster.name; "this host is standby");
        let state = StandbyState::new(StandbyParts {
            config: config.api.clone(),
            member: member.clone(),
            tokens,
            audit: AuditLog::new(config.log.audit_file.as_deref()),
        });
        Ok(Self {
            config: config.clone(),
            member,
            listeners,
            tls: tls.map(Arc::new),
            state,
        })
    }

    /// Checks whether this host could take over. `file` is that of its configuration.
    ///
    /// # Errors
    ///
    /// The system has no place for temporary files.
    pub fn readiness(&self, file: Option<PathBuf>) -> Result<Readiness, StandbyError> {
        Readiness::new(self.member.clone(), file).map_err(StandbyError::Temporary)
    }

    /// Answers requests until this host has the lease and its journals, which it opens with the configuration that `read_config`
    /// returns. `None`: `stop` completed before.
    ///
    /// # Errors
    ///
    /// The state folder cannot be used, or the journals cannot be opened.
    pub async fn run(
        self,
        stop: impl Future<Output = ()>,
        read_config: impl FnMut() -> Loaded,
    ) -> Result<Option<(Loaded, ActiveMember)>, StandbyError> {
        let Self {
            config,
            member,
            listeners,
            tls,
            state,
        } = self;
        let (served, serving) = tokio::sync::watch::channel(());
        let over = || {
            let mut serving = serving.clone();
            async move { while serving.changed().await.is_ok() {} }
        };
        let api = api::serve_standby(&listeners.api, tls.clone(), state.clone(), over());
        let shown = state.clone();
        let metrics = async {
            if let Some(listener) = &listeners.metrics {
                let is_exposed = config.metrics.needs_tokens;
                api::serve_standby_metrics(listener, tls, shown, is_exposed, over()).await;
            }
        };
        let open = async {
            let lock = take_over(&config.state_dir, &member).await?;
            open_journals(&member, lock, read_config, &state).await
        };
        let opened = async {
            let opened = tokio::select! {
                opened = open => opened.map(Some),
                () = stop => Ok(None),
            };
            drop(served);
            opened
        };
        let ((), (), opened) = tokio::join!(api, metrics, opened);
        match opened {
            Ok(Some((loaded, journals))) => {
                let active = ActiveMember {
                    member,
                    listeners,
                    journals,
                };
                Ok(Some((loaded, active)))
            }
            Ok(None) => {
                member.leave().await;
                Ok(None)
            }
            Err(error) => {
                member.leave().await;
                Err(error)
            }
        }
    }
}

/// The socket, unless other members share its folder: each would replace the socket of another machine. Creates a state folder of its
/// own.
fn own_socket<'a>(
    config: &'a Config,
    cluster: &ClusterConfig,
) -> Result<Option<&'a SocketConfig>, ListenError> {
    let Some(socket) = &config.api.socket else {
        return Ok(None);
    };
    if !socket.path.starts_with(&config.state_dir) {
        return Ok(Some(socket));
    }
    if !cluster.has_state_in_database() {
        return Ok(None);
    }
    let created = create_folders(&config.state_dir, FileReaders::Owner);
    created.map_err(|source| ListenError::Socket {
        path: socket.path.clone(),
        source,
    })?;
    Ok(Some(socket))
}

/// Waits for the lease, and then takes the state folder. The process that had the lease before ends, and
/// the lock goes with it. One that is paused does not end: on this machine, it is ended. On another machine it cannot be, so
/// that this waits.
async fn take_over(state_dir: &Path, member: &ClusterMember) -> Result<StateLock, StateError> {
    let previous = member.active().await;
    let patience = Instant::now() + member.lease() / 10;
    let mut is_ended = false;
    let mut reported: Option<Instant> = None;
    loop {
        let pid = match tokio::task::block_in_place(|| state::open(state_dir)) {
            Err(StateError::Folder(OpenError::InUse { pid, .. })) => pid,
            opened => return opened,
        };
        sleep(LOCK_INTERVAL).await;
        if Instant::now() < patience {
            continue;
        }
        if !is_ended && previous.is_local_process(&pid) {
            is_ended = true;
            reported = Some(Instant::now());
            match FolderLock::end_holder(state_dir) {
                Ok(()) => {
                    log::warn!(pid; "ended the process that has lost the lease: it was paused, and still had the lock of the state folder");
                }
                Err(error) => {
                    log::error!(pid, error:%; "cannot end the process that has lost the lease and still has the lock of the state folder");
                }
            }
        } else if reported.is_none_or(|at| at.elapsed() >= LOCK_REPORT_INTERVAL) {
            reported = Some(Instant::now());
            log::error!(pid, state_dir:% = state_dir.display(); "this host has the lease and cannot become active: another process has the lock of the state folder (end it, or cut its machine off from the volume)");
        }
    }
}

/// The URL of an address where the host listens, for clients.
fn reachable(address: SocketAddr, is_encrypted: bool) -> String {
    let scheme = if is_encrypted { "https" } else { "http" };
    if address.ip().is_unspecified() {
        return format!("{scheme}://{}:{}", machine_name(), address.port());
    }
    format!("{scheme}://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_an_address_to_which_they_can_connect() {
        let check = |listens: &str, is_encrypted, url: &str| {
            assert_eq!(reachable(listens.parse().unwrap(), is_encrypted), url);
        };
        check("127.0.0.1:8190", false, "http://127.0.0.1:8190");
        check("[2001:db8::7]:443", true, "https://[2001:db8::7]:443");
        let machine = machine_name();
        check("0.0.0.0:8190", false, &format!("http://{machine}:8190"));
    }
}
