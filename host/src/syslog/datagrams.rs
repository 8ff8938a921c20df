//! Receives messages over UDP: a datagram is a message.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{input::SyslogInput, stats::SyslogTransport};
use crate::notification::DatagramSocket;

/// The largest datagram.
const MAX_DATAGRAM: usize = 65_535;
/// Pause after an error of the socket.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// The state of the thread.
pub(super) struct DatagramReader {
    pub(super) socket: DatagramSocket,
    pub(super) input: SyslogInput,
    pub(super) stop: Arc<AtomicBool>,
}

impl DatagramReader {
    pub(super) fn run(self) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        while !self.stop.load(Ordering::Relaxed) {
            match self.socket.receive(&mut buffer) {
                Ok(Some((length, from))) => {
                    let limit = self.input.max_message_bytes;
                    if length > limit {
                        self.input.stats.count_cut_off(1);
                    }
                    let bytes = &buffer[..length.min(limit)];
                    let message = self.input.accept(bytes, from.ip(), SyslogTransport::Udp);
                    if let Some(message) = message
                        && self.input.received.blocking_send(message).is_err()
                    {
                        return;
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    self.input.report("socket", &error.to_string(), |suppressed| {
                        log::error!(error:%, suppressed; "syslog messages cannot be received, retrying");
                    });
                    std::thread::sleep(ERROR_PAUSE);
                }
            }
        }
    }
}
