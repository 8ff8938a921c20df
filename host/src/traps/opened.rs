//! What becomes of a datagram: a notification of a storage, or the reason why it is refused.

use std::net::SocketAddr;

use bytes::Bytes;
use uuid::Uuid;

use super::{acknowledgement::Acknowledgement, notification::Notification, stats::TrapRefusal};

/// A notification of a storage.
#[derive(Debug)]
pub(super) struct SourcedNotification {
    pub(super) storage_id: Uuid,
    pub(super) notification: Notification,
    /// What an inform is to be answered with.
    pub(super) acknowledgement: Option<Acknowledgement>,
}

/// Why a datagram is refused, and what is answered.
#[derive(Debug)]
pub(super) struct RefusedDatagram {
    pub(super) refusal: TrapRefusal,
    /// A report that tells a sender of informs the engine of the host.
    pub(super) report: Option<Bytes>,
}

impl From<TrapRefusal> for RefusedDatagram {
    fn from(refusal: TrapRefusal) -> Self {
        Self {
            refusal,
            report: None,
        }
    }
}

/// A notification on its way to the journal.
#[derive(Debug)]
pub(super) struct PendingTrap {
    pub(super) opened: SourcedNotification,
    pub(super) from: SocketAddr,
}
