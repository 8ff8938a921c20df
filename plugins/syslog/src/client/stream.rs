//! Sends messages over TCP or TLS.
//!
//! Syslog has no acknowledgement. By default each batch has a connection of its own: the
//! receiver closes the connection once it has read the end of the batch, and its close is
//! the acknowledgement. The alternative keeps the connection open, and a batch is delivered
//! when the system has taken it.

use std::{
    io::{self, BufWriter, ErrorKind, Write},
    time::Instant,
};

use delfin_plugin_api::{
    Failure, Outcome, log,
    stream::{Address, Connection, Connector},
    tls::Tls,
};

use crate::config::Framing;

/// Messages are collected up to this size before they are written.
const BUFFER_BYTES: usize = 64 * 1024;

pub(crate) struct StreamClient {
    connector: Connector,
    framing: Framing,
    confirm_by_close: bool,
    /// The connection that stays open between batches, without `confirm_by_close`.
    open: Option<Connection>,
}

impl StreamClient {
    pub(super) fn new(
        address: Address,
        tls: Option<&Tls>,
        framing: Framing,
        confirm_by_close: bool,
    ) -> Result<Self, Failure> {
        Ok(Self {
            connector: Connector::new(address, tls)?,
            framing,
            confirm_by_close,
            open: None,
        })
    }

    pub(super) fn send(
        &mut self,
        messages: impl Iterator<Item = Vec<u8>>,
        deadline: Instant,
    ) -> Outcome {
        let mut connection = self.connection(deadline)?;
        self.write(&mut connection, messages)
            .map_err(|error| self.connector.send_failure(&error))?;
        if !self.confirm_by_close {
            self.open = Some(connection);
            return Ok(());
        }
        let closed = connection.close_confirmed();
        closed.map_err(|error| self.close_failure(&error))
    }

    pub(super) fn health(&mut self, deadline: Instant) -> Outcome {
        let connection = self.connection(deadline)?;
        if !self.confirm_by_close {
            self.open = Some(connection);
            return Ok(());
        }
        let closed = connection.close_confirmed();
        // Not uncertain: nothing was sent.
        closed.map_err(|error| Failure::retry(self.close_failure(&error)))
    }

    /// Waits until the receiver has read what the open connection has sent.
    pub(super) fn close(&mut self, deadline: Instant) {
        let Some(mut connection) = self.open.take() else {
            return;
        };
        connection.set_deadline(deadline);
        if let Err(error) = connection.close_confirmed() {
            let receiver = self.connector.address();
            log::warn!(receiver:%, error:%; "the receiver may not have read the last messages");
        }
    }

    fn close_failure(&self, error: &io::Error) -> Failure {
        if error.kind() != ErrorKind::TimedOut {
            return self.connector.send_failure(error);
        }
        let receiver = self.connector.address();
        Failure::Uncertain {
            message: format!(
                "`{receiver}` has all messages, and does not close the connection in time (if it \
                 never does, set `confirm_by_close = false`)"
            ),
        }
    }

    /// The open connection if it still works, else a new one.
    fn connection(&mut self, deadline: Instant) -> Result<Connection, Failure> {
        if let Some(mut connection) = self.open.take() {
            connection.set_deadline(deadline);
            if !connection.is_closed() {
                return Ok(connection);
            }
            let receiver = self.connector.address();
            log::warn!(
                receiver:%;
                "the receiver has closed the connection: the last messages before may be lost"
            );
        }
        self.connector.connect(deadline)
    }

    fn write(
        &self,
        connection: &mut Connection,
        messages: impl Iterator<Item = Vec<u8>>,
    ) -> io::Result<()> {
        let mut writer = BufWriter::with_capacity(BUFFER_BYTES, connection);
        for mut message in messages {
            match self.framing {
                Framing::OctetCounting => write!(writer, "{} ", message.len())?,
                Framing::Newline => message.push(b'\n'),
            }
            writer.write_all(&message)?;
        }
        writer.flush()
    }
}
