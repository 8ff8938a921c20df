//! Finds the storage of each message, and counts what is refused.

use std::{net::IpAddr, sync::Arc, time::Instant};

use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    message::ParsedMessage,
    senders::SenderAddresses,
    stats::{SyslogRefusal, SyslogStats, SyslogTransport},
};
use crate::logging::{Admission, LogLimiter};

/// A message of a storage, on its way to the journal.
#[derive(Debug)]
pub(super) struct PendingMessage {
    pub(super) storage_id: Uuid,
    pub(super) message: ParsedMessage,
}

/// Finds the storage of each message. Clones share the counters and the limits of the log.
#[derive(Clone)]
pub(super) struct SyslogInput {
    pub(super) senders: SenderAddresses,
    pub(super) stats: Arc<SyslogStats>,
    pub(super) received: mpsc::Sender<PendingMessage>,
    pub(super) max_message_bytes: usize,
    pub(super) limiter: Arc<LogLimiter>,
}

impl SyslogInput {
    /// A message with its storage; `None` if it is empty, or its sender is unknown.
    pub(super) fn accept(
        &self,
        bytes: &[u8],
        from: IpAddr,
        transport: SyslogTransport,
    ) -> Option<PendingMessage> {
        if !self.senders.is_known(from) {
            self.refuse(SyslogRefusal::UnknownSender, from);
            return None;
        }
        let message = ParsedMessage::parse(bytes);
        if message.text.is_empty() && message.parameters.is_empty() {
            return None;
        }
        match self.senders.storage_of(from, &message.hostname) {
            Ok(storage_id) => {
                self.stats.count_accepted(transport);
                Some(PendingMessage {
                    storage_id,
                    message,
                })
            }
            Err(refusal) => {
                self.refuse(refusal, from);
                None
            }
        }
    }

    pub(super) fn refuse(&self, refusal: SyslogRefusal, from: IpAddr) {
        self.stats.count_refused(refusal);
        self.report(refusal.label(), &from.to_string(), |suppressed| {
            log::warn!(sender:% = from, suppressed; "syslog was refused: {refusal}");
        });
    }

    /// Logs what anyone in the network can cause again and again.
    pub(super) fn report(&self, kind: &str, text: &str, log: impl FnOnce(u64)) {
        if let Admission::Logged { suppressed } = self.limiter.admit(kind, text, Instant::now()) {
            log(suppressed);
        }
    }
}
