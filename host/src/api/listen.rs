//! Where the API listens: an address, and a socket for programs of this machine.
//!
//! The mode of the socket decides which users may connect. They may make every call.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixStream as StdUnixStream,
    },
    path::{Path, PathBuf},
};

use delfin_plugin_api::connections::check_port;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::peer::Peer;
use crate::config::{ApiConfig, SocketConfig};

/// Why the API cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on `{address}` (is another host running? set `api.listen`)")]
    Address {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot listen on `{address}` (set `metrics.listen`)")]
    Metrics {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot listen on `{}` (set `api.socket`, or turn it off)", path.display())]
    Socket { path: PathBuf, source: io::Error },
}

/// Accepts connections of the API.
#[derive(Debug)]
pub struct ApiListener {
    tcp: TcpListener,
    local: Option<LocalListener>,
}

/// The socket; its file is removed at the end.
#[derive(Debug)]
struct LocalListener {
    listener: UnixListener,
    path: PathBuf,
}

/// A connection.
#[derive(Debug)]
pub(super) enum ClientStream {
    Network(TcpStream),
    Local(UnixStream),
}

impl ApiListener {
    /// Listens where the configuration says.
    ///
    /// # Errors
    ///
    /// The address or the socket cannot be used.
    pub async fn bind(config: &ApiConfig) -> Result<Self, ListenError> {
        let address = config.listen;
        let tcp = TcpListener::bind(address).await;
        let tcp = tcp.map_err(|source| ListenError::Address { address, source })?;
        let local = config
            .socket
            .as_ref()
            .map(LocalListener::bind)
            .transpose()?;
        Ok(Self { tcp, local })
    }

    /// Listens for the metrics alone.
    ///
    /// # Errors
    ///
    /// The address cannot be used.
    pub async fn bind_metrics(address: SocketAddr) -> Result<Self, ListenError> {
        let tcp = TcpListener::bind(address).await;
        let tcp = tcp.map_err(|source| ListenError::Metrics { address, source })?;
        Ok(Self { tcp, local: None })
    }

    /// Checks whether the metrics could have an address of their own, as [`Self::check`].
    ///
    /// # Errors
    ///
    /// As [`Self::check`].
    pub fn check_metrics(address: SocketAddr, is_host_running: bool) -> Result<(), ListenError> {
        try_address(address, is_host_running)
            .map_err(|source| ListenError::Metrics { address, source })
    }

    /// Checks whether the API could listen at its address. A running host with the same state
    /// folder is not disturbed, and may have the address.
    ///
    /// # Errors
    ///
    /// Another program has the address, or the system refuses it.
    pub fn check(address: SocketAddr, is_host_running: bool) -> Result<(), ListenError> {
        try_address(address, is_host_running)
            .map_err(|source| ListenError::Address { address, source })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Where it listens.
    pub(super) fn log(&self) -> io::Result<()> {
        let address = self.tcp.local_addr()?;
        match &self.local {
            Some(local) => {
                let socket = local.path.display();
                log::info!(address:%, socket:%; "the API listens");
            }
            None => log::info!(address:%; "the API listens"),
        }
        Ok(())
    }

    /// Waits for a connection.
    pub(super) async fn accept(&self) -> io::Result<(ClientStream, Peer)> {
        let network = async {
            let (stream, address) = self.tcp.accept().await?;
            Ok((ClientStream::Network(stream), Peer::Network(address.ip())))
        };
        let Some(local) = &self.local else {
            return network.await;
        };
        tokio::select! {
            accepted = network => accepted,
            accepted = local.listener.accept() => {
                let (stream, _) = accepted?;
                let uid = stream.peer_cred()?.uid();
                Ok((ClientStream::Local(stream), Peer::Local { uid }))
            }
        }
    }
}

fn try_address(address: SocketAddr, is_host_running: bool) -> io::Result<()> {
    if is_host_running {
        check_port(address)
    } else {
        std::net::TcpListener::bind(address).map(drop)
    }
}

#[cfg(test)]
impl From<TcpListener> for ApiListener {
    fn from(tcp: TcpListener) -> Self {
        Self { tcp, local: None }
    }
}

impl LocalListener {
    fn bind(config: &SocketConfig) -> Result<Self, ListenError> {
        let path = config.path.clone();
        match listen_at(&path, config.mode) {
            Ok(listener) => Ok(Self { listener, path }),
            Err(source) => Err(ListenError::Socket { path, source }),
        }
    }
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        // The next host removes a file that is left behind.
        let _ = fs::remove_file(&self.path);
    }
}

fn listen_at(path: &Path, mode: u32) -> io::Result<UnixListener> {
    remove_unused(path)?;
    // Only its owner can connect until the mode is set, because of the umask of the host.
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

/// Removes the socket of a host that was killed.
fn remove_unused(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::other("it exists and is not a socket"));
    }
    match StdUnixStream::connect(path) {
        Ok(_) => Err(io::Error::other("another host uses it")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_free_only_for_the_host_that_has_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        ApiListener::check(address, true).unwrap();
        let error = ApiListener::check(address, false).unwrap_err().to_string();
        assert!(error.contains("another host"), "{error}");
        drop(listener);
        ApiListener::check(address, false).unwrap();
    }

    #[tokio::test]
    async fn the_socket_of_a_killed_host_is_replaced_and_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.sock");
        let socket = |mode| SocketConfig {
            path: path.clone(),
            mode,
        };
        // Its file stays.
        drop(UnixListener::bind(&path).unwrap());
        let listener = LocalListener::bind(&socket(0o660)).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let error = LocalListener::bind(&socket(0o600)).unwrap_err();
        assert!(error.to_string().contains("api.sock"), "{error}");
        drop(listener);
        assert!(!path.exists());
        fs::write(&path, "text").unwrap();
        assert!(LocalListener::bind(&socket(0o600)).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    }
}
