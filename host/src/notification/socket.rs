//! A UDP socket that receives, and what the kernel has dropped from it.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use crate::platform::{DropCounter, set_receive_buffer};

/// How often a receiver without datagrams looks whether it is to stop.
const READ_TIMEOUT: Duration = Duration::from_millis(200);

/// A bound socket.
#[derive(Debug)]
pub struct DatagramSocket {
    socket: UdpSocket,
    address: SocketAddr,
    counter: DropCounter,
}

impl DatagramSocket {
    /// Binds the socket, and asks for a receive buffer.
    ///
    /// # Errors
    ///
    /// The address cannot be bound.
    pub fn bind(address: SocketAddr, buffer_bytes: u64) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(READ_TIMEOUT))?;
        let wanted = usize::try_from(buffer_bytes).unwrap_or(usize::MAX);
        let got = set_receive_buffer(&socket, wanted)?;
        if got < wanted {
            log::warn!(address:%, wanted = wanted, got = got; "the receive buffer is smaller than configured, so a burst loses datagrams sooner (raise the sysctl `net.core.rmem_max`, or lower `receive_buffer`)");
        }
        Ok(Self {
            address: socket.local_addr()?,
            counter: DropCounter::of(&socket)?,
            socket,
        })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    #[must_use]
    pub fn drop_counter(&self) -> DropCounter {
        self.counter
    }

    /// Waits for a datagram. `None` if none came for a while.
    ///
    /// # Errors
    ///
    /// The socket cannot be read.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        use io::ErrorKind::{
            ConnectionRefused, ConnectionReset, Interrupted, TimedOut, WouldBlock,
        };

        match self.socket.recv_from(buffer) {
            Ok(received) => Ok(Some(received)),
            // Refused, or reset on Windows: an answer did not reach its receiver.
            Err(error)
                if matches!(
                    error.kind(),
                    WouldBlock | TimedOut | Interrupted | ConnectionRefused | ConnectionReset
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends an answer. One that is lost is asked for again.
    pub fn send(&self, datagram: &[u8], to: SocketAddr) {
        if let Err(error) = self.socket.send_to(datagram, to) {
            log::debug!(to:% = to, error:%; "an answer to a sender was not sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_that_do_not_fit_are_counted_by_the_kernel() {
        let socket = DatagramSocket::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let counter = socket.drop_counter();
        assert_eq!(counter.dropped(), Some(0));
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            sender.send_to(&[0; 1_000], socket.address()).unwrap();
        }
        let mut read = 0;
        while socket.receive(&mut [0; 2_000]).unwrap().is_some() {
            read += 1;
        }
        assert_eq!(counter.dropped(), Some(100 - read));
        assert!(read < 100);
    }
}
