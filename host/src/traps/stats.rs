//! Counts what becomes of datagrams.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why a datagram does not become an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrapRefusal {
    /// No alert source has the address of the sender.
    #[error("no alert source has this address")]
    UnknownSender,
    #[error("it is not an SNMP message")]
    Malformed,
    /// A request, a response or another message.
    #[error("it is neither a trap nor an inform")]
    NotANotification,
    /// No alert source with this address has the version of the message.
    #[error("its version of SNMP is not the one of the alert source")]
    OtherVersion,
    #[error("its community is wrong")]
    WrongCommunity,
    #[error("its user is unknown")]
    UnknownUser,
    /// The engine of the sender is not that of the alert source.
    #[error("its engine is not the one of the alert source")]
    OtherEngine,
    #[error("its security level is not the one of the alert source")]
    OtherLevel,
    #[error("its authentication key is wrong")]
    WrongDigest,
    #[error("its privacy key is wrong")]
    WrongPrivacyKey,
    /// The message is old, or was replayed.
    #[error("it is too old")]
    TooOld,
    /// A sender of informs asks for the engine of the host.
    #[error("it asks for the engine of the host")]
    Discovery,
}

impl TrapRefusal {
    const ALL: [Self; 12] = [
        Self::UnknownSender,
        Self::Malformed,
        Self::NotANotification,
        Self::OtherVersion,
        Self::WrongCommunity,
        Self::UnknownUser,
        Self::OtherEngine,
        Self::OtherLevel,
        Self::WrongDigest,
        Self::WrongPrivacyKey,
        Self::TooOld,
        Self::Discovery,
    ];

    /// The label of its metric.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::UnknownSender => "unknown_sender",
            Self::Malformed => "malformed",
            Self::NotANotification => "not_a_notification",
            Self::OtherVersion => "other_version",
            Self::WrongCommunity => "wrong_community",
            Self::UnknownUser => "unknown_user",
            Self::OtherEngine => "other_engine",
            Self::OtherLevel => "other_level",
            Self::WrongDigest => "wrong_digest",
            Self::WrongPrivacyKey => "wrong_privacy_key",
            Self::TooOld => "too_old",
            Self::Discovery => "discovery",
        }
    }
}

/// Who has made an alert of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertMaker {
    Driver,
    Mapping,
    /// No driver and no mapping knows the notification.
    Raw,
}

/// Counters since the start of the host.
#[derive(Debug, Default)]
pub struct TrapStats {
    traps: AtomicU64,
    informs: AtomicU64,
    refused: [AtomicU64; TrapRefusal::ALL.len()],
    alerts: [AtomicU64; 3],
    acknowledged: AtomicU64,
    waiting: AtomicU64,
}

impl TrapStats {
    pub(super) fn count_accepted(&self, is_inform: bool) {
        let counter = if is_inform {
            &self.informs
        } else {
            &self.traps
        };
        counter.fetch_add(1, Relaxed);
        self.waiting.fetch_add(1, Relaxed);
    }

    pub(super) fn count_refused(&self, refusal: TrapRefusal) {
        self.refused[refusal as usize].fetch_add(1, Relaxed);
    }

    /// These no longer wait: their alerts are in the journal, or it can never take them.
    pub(super) fn count_done(&self, notifications: u64) {
        self.waiting.fetch_sub(notifications, Relaxed);
    }

    pub(super) fn count_alerts(&self, maker: AlertMaker, alerts: u64) {
        self.alerts[maker as usize].fetch_add(alerts, Relaxed);
    }

    pub(super) fn count_acknowledged(&self) {
        self.acknowledged.fetch_add(1, Relaxed);
    }

    /// Accepted notifications, by their kind.
    #[must_use]
    pub fn accepted(&self) -> [(&'static str, u64); 2] {
        [
            ("trap", self.traps.load(Relaxed)),
            ("inform", self.informs.load(Relaxed)),
        ]
    }

    /// Refused datagrams, by the reason.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let reasons = TrapRefusal::ALL.iter().zip(&self.refused);
        reasons.map(|(reason, count)| (reason.label(), count.load(Relaxed)))
    }

    /// Alerts, by who has made them.
    pub fn alerts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let makers = ["driver", "mapping", "raw"].into_iter().zip(&self.alerts);
        makers.map(|(maker, count)| (maker, count.load(Relaxed)))
    }

    /// Informs that were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Relaxed)
    }

    /// Accepted notifications that are not durable yet.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }
}
