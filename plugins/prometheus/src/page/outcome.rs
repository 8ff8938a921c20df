//! Why the page cannot be served, and what the host should do about it.

use std::{io, net::SocketAddr};

use delfin_plugin_api::Failure;

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The program that has the port may be about to stop.
    #[error(
        "cannot listen on {address}: {reason} (stop the other program, or set another \
         `metric_server_port`)"
    )]
    AddressInUse {
        address: SocketAddr,
        reason: io::Error,
    },
    #[error(
        "cannot listen on {address}: {reason} (set another `metric_server_port`, or permit this one)"
    )]
    PermissionDenied {
        address: SocketAddr,
        reason: io::Error,
    },
    #[error("cannot use `tls_certificate` and `tls_key`: {reason}")]
    Tls { reason: String },
    #[error("cannot start the server: {0}")]
    Start(io::Error),
}

impl ServerError {
    /// Why the page cannot listen at `address`.
    pub fn listen(address: SocketAddr, reason: io::Error) -> Self {
        match reason.kind() {
            // The other program may stop, and a floating address may move here.
            io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable => {
                Self::AddressInUse { address, reason }
            }
            io::ErrorKind::PermissionDenied => Self::PermissionDenied { address, reason },
            _ => Self::Start(reason),
        }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::AddressInUse { .. } | ServerError::Start(_) => Self::retry(error),
            ServerError::PermissionDenied { .. } | ServerError::Tls { .. } => {
                Self::misconfigured(error)
            }
        }
    }
}
