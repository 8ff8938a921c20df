//! Sends messages as UDP datagrams, which nothing acknowledges.

use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use delfin_plugin_api::{Failure, Outcome, stream::Address};

/// Datagrams without a pause, and the pause: what a receiver's buffer holds is lost if more
/// arrives than it reads.
const BURST: usize = 8;
const PAUSE: Duration = Duration::from_millis(1);

pub(crate) struct UdpClient {
    address: Address,
}

impl UdpClient {
    pub(super) fn new(address: Address) -> Self {
        Self { address }
    }

    /// Sends each message as a datagram.
    pub(super) fn send(
        &self,
        messages: impl Iterator<Item = Vec<u8>>,
        deadline: Instant,
    ) -> Outcome {
        let failed = |error| self.failure(&error);
        let socket = self.socket(deadline).map_err(failed)?;
        for (index, message) in messages.enumerate() {
            if index % BURST == BURST - 1 {
                thread::sleep(PAUSE);
            }
            if Instant::now() >= deadline {
                return Err(failed(ErrorKind::TimedOut.into()));
            }
            // A send reports that an earlier datagram was refused, so all are sent again.
            socket.send(&message).map_err(failed)?;
        }
        match socket.take_error().map_err(failed)? {
            Some(error) => Err(failed(error)),
            None => Ok(()),
        }
    }

    pub(super) fn health(&self, deadline: Instant) -> Outcome {
        let socket = self.socket(deadline);
        socket.map(drop).map_err(|error| self.failure(&error))
    }

    /// A socket for this batch: the addresses of the receiver may change.
    fn socket(&self, deadline: Instant) -> io::Result<UdpSocket> {
        let mut last = io::Error::new(ErrorKind::NotFound, "the host name has no address");
        for address in self.address.resolve(deadline)? {
            let local: SocketAddr = match address {
                SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
            };
            let socket = UdpSocket::bind(local).and_then(|socket| {
                socket.connect(address)?;
                Ok(socket)
            });
            match socket {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn failure(&self, error: &io::Error) -> Failure {
        Failure::retry(format!("`{}`: {error}", self.address))
    }
}
