//! A connection over TCP, with or without TLS, for exporters whose receivers speak no
//! HTTP.
//!
//! Promises: each call ends at the deadline of the connection; a receiver's certificate
//! is always verified; [`Connection::close_confirmed`] succeeds only if the receiver has
//! read everything.
//!
//! ```no_run
//! use std::{io::Write, time::{Duration, Instant}};
//! use delfin_plugin_api::{Failure, stream::{Address, Connector}};
//!
//! fn send(connector: &Connector, lines: &[u8], remaining: Duration) -> Result<(), Failure> {
//!     let mut connection = connector.connect(Instant::now() + remaining)?;
//!     let sent = connection.write_all(lines).and_then(|()| connection.close_confirmed());
//!     sent.map_err(|error| connector.send_failure(&error))
//! }
//! ```

mod address;
mod connection;

use std::{
    io::{self, ErrorKind},
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};

use self::connection::TimedSocket;
pub use self::{address::Address, connection::Connection};
use crate::{
    Failure,
    tls::{Tls, reason},
    unreachable::{self, HOST_UNKNOWN},
};

/// The longest time to connect to one address in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest part of a call's time that is kept back.
const MARGIN: Duration = Duration::from_millis(250);

/// Connects to one receiver.
#[derive(Clone)]
pub struct Connector {
    address: Address,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Connector {
    /// A connector. `tls` is `None` for connections without TLS.
    ///
    /// # Errors
    ///
    /// [`Failure::Misconfigured`] if a file of `tls` or the host cannot be used.
    pub fn new(address: Address, tls: Option<&Tls>) -> Result<Self, Failure> {
        let tls = tls.map(|tls| {
            let name = ServerName::try_from(address.host().to_owned());
            let name = name.map_err(|_| {
                Failure::misconfigured(format!("`{address}` has a host that is no name for TLS"))
            })?;
            Ok((Arc::new(tls.config()?), name))
        });
        Ok(Self {
            address,
            tls: tls.transpose()?,
        })
    }

    /// The receiver, for messages.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Connects, and completes the handshake of TLS.
    ///
    /// # Errors
    ///
    /// Nothing was sent: [`Failure::Retry`], or [`Failure::Misconfigured`] if TLS fails.
    pub fn connect(&self, deadline: Instant) -> Result<Connection, Failure> {
        let failed = |error: io::Error| {
            let reason = unreachable::reason(&error);
            Failure::retry(format!("`{}`: {reason}", self.address))
        };
        let (socket, round_trip) = connect(&self.address, deadline).map_err(failed)?;
        let mut socket = TimedSocket::new(socket, deadline).map_err(failed)?;
        let Some((config, name)) = &self.tls else {
            return Ok(Connection::plain(socket, round_trip));
        };
        let session = ClientConnection::new(Arc::clone(config), name.clone());
        let mut session = session.map_err(|error| self.failure(&io::Error::other(error)))?;
        let handshake = session.complete_io(&mut socket);
        handshake.map_err(|error| self.handshake_failure(&error))?;
        Ok(Connection::encrypted(session, socket, round_trip))
    }

    /// The failure that an error of a connection means after something was sent: the
    /// receiver may have all of it, a part, or nothing.
    #[must_use]
    pub fn send_failure(&self, error: &io::Error) -> Failure {
        match self.failure(error) {
            Failure::Retry { message, .. } => Failure::Uncertain { message },
            // A receiver refuses the certificate of a client only after the client has
            // completed its part of the handshake, and reads nothing then.
            other => other,
        }
    }

    /// The failure that an error of a connection means before any row was sent, while the
    /// exporter logs in: often another service listens at the port.
    #[must_use]
    pub fn login_failure(&self, error: &io::Error) -> Failure {
        match self.failure(error) {
            Failure::Retry { message, .. } => Failure::retry(format!(
                "{message} (check that the port is that of the receiver, and that `tls` says \
                 whether it has TLS there)"
            )),
            other => other,
        }
    }

    /// A receiver without TLS waits for more, or closes the connection.
    fn handshake_failure(&self, error: &io::Error) -> Failure {
        match self.failure(error) {
            Failure::Retry { message, .. } => Failure::retry(format!(
                "{message}, in the TLS handshake (check that the receiver has TLS at this port)"
            )),
            other => other,
        }
    }

    fn failure(&self, error: &io::Error) -> Failure {
        let address = &self.address;
        let tls = error.get_ref().and_then(|error| error.downcast_ref());
        if let Some(error) = tls {
            return Failure::misconfigured(format!("`{address}`: {}", reason(error)));
        }
        match error.kind() {
            ErrorKind::TimedOut => Failure::retry(format!("`{address}`: does not answer in time")),
            _ => Failure::retry(format!("`{address}`: {error}")),
        }
    }
}

/// Connects to the first address of the host that accepts the connection, and measures
/// how long that takes.
fn connect(address: &Address, deadline: Instant) -> io::Result<(TcpStream, Duration)> {
    let mut last = io::Error::new(ErrorKind::NotFound, HOST_UNKNOWN);
    for socket_address in address.resolve(deadline)? {
        let time = time_left(deadline)?.min(CONNECT_TIMEOUT);
        let started = Instant::now();
        match TcpStream::connect_timeout(&socket_address, time) {
            Ok(stream) => return Ok((stream, started.elapsed())),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The deadline of work in a call with this time left. A part of the time is kept back, so
/// that the call can return before its own deadline.
#[must_use]
pub fn deadline(remaining: Duration) -> Instant {
    Instant::now() + (remaining - MARGIN.min(remaining / 10))
}

fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ErrorKind::TimedOut.into());
    }
    Ok(left)
}

#[cfg(all(test, feature = "testkit"))]
mod tests;
