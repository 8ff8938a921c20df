//! Where the API listens: an address, and a socket for programs of this machine.
//!
//! The mode of the socket decides which users may connect. They may make every call.

use std::{io, net::SocketAddr, path::PathBuf};

use delfin_plugin_api::connections::check_port;
use tokio::net::{TcpListener, TcpStream};

use super::peer::Peer;
use crate::{
    config::{ApiConfig, SocketConfig},
    platform::{LocalListener, LocalStream},
};

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

/// A connection.
#[derive(Debug)]
pub(super) enum ClientStream {
    Network(TcpStream),
    Local(LocalStream),
}

impl ApiListener {
    /// Listens at the address of the API.
    ///
    /// # Errors
    ///
    /// The address cannot be used.
    pub async fn bind(config: &ApiConfig) -> Result<Self, ListenError> {
        let address = config.listen;
        let tcp = TcpListener::bind(address).await;
        let tcp = tcp.map_err(|source| ListenError::Address { address, source })?;
        Ok(Self { tcp, local: None })
    }

    /// Listens at a socket as well, unless it already listens at one.
    ///
    /// # Errors
    ///
    /// The socket cannot be used.
    pub fn with_socket(self, config: &SocketConfig) -> Result<Self, ListenError> {
        let local = match self.local {
            Some(local) => local,
            None => listen_at(config)?,
        };
        Ok(Self {
            local: Some(local),
            ..self
        })
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

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// The system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Logs where it listens.
    pub(super) fn log(&self) -> io::Result<()> {
        let address = self.tcp.local_addr()?;
        match &self.local {
            Some(local) => {
                let socket = local.path().display();
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
            accepted = local.accept() => {
                let (stream, uid) = accepted?;
                Ok((ClientStream::Local(stream), Peer::Local { uid }))
            }
        }
    }
}

fn listen_at(config: &SocketConfig) -> Result<LocalListener, ListenError> {
    let SocketConfig { path, mode } = config;
    LocalListener::bind(path, *mode).map_err(|source| ListenError::Socket {
        path: path.clone(),
        source,
    })
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
}
