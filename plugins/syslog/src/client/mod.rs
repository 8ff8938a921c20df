//! Sends messages to the receiver.
//!
//! Promises: a call ends within the time that it is given; the messages of a batch are
//! sent in order.

mod stream;
mod udp;

use std::time::Duration;

use delfin_plugin_api::{Failure, Outcome, stream::deadline};

use self::{stream::StreamClient, udp::UdpClient};
use crate::config::{Config, Transport};

pub(crate) enum SyslogClient {
    Stream(StreamClient),
    Udp(UdpClient),
}

impl SyslogClient {
    /// A client for the address in `config`. Connects with the first batch.
    pub(crate) fn new(config: Config) -> Result<Self, Failure> {
        Ok(match config.transport {
            Transport::Udp => Self::Udp(UdpClient::new(config.address)),
            Transport::Stream {
                tls,
                framing,
                confirm_by_close,
            } => {
                let client =
                    StreamClient::new(config.address, tls.as_ref(), framing, confirm_by_close)?;
                Self::Stream(client)
            }
        })
    }

    /// Sends a batch of messages.
    pub(crate) fn send(
        &mut self,
        messages: impl Iterator<Item = Vec<u8>>,
        time: Duration,
    ) -> Outcome {
        match self {
            Self::Stream(client) => client.send(messages, deadline(time)),
            Self::Udp(client) => client.send(messages, deadline(time)),
        }
    }

    /// Checks that the receiver accepts a connection, as far as the transport has one.
    pub(crate) fn health(&mut self, time: Duration) -> Outcome {
        match self {
            Self::Stream(client) => client.health(deadline(time)),
            Self::Udp(client) => client.health(deadline(time)),
        }
    }

    /// Ends an open connection.
    pub(crate) fn close(&mut self, time: Duration) {
        if let Self::Stream(client) = self {
            client.close(deadline(time));
        }
    }
}
