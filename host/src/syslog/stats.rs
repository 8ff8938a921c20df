//! Counts what becomes of syslog messages.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How messages arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyslogTransport {
    Udp,
    Tcp,
    Tls,
}

/// Why a message, or a connection, is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyslogRefusal {
    #[error("no storage has this address")]
    UnknownSender,
    /// Several storages have the address, and none has the name that is in the message.
    #[error("several storages have this address, and none has the name in the message")]
    AmbiguousSender,
    #[error("too many connections are open")]
    TooManyConnections,
    #[error("the TLS handshake failed")]
    Handshake,
}

/// What has become of a message of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyslogResult {
    Mapped,
    Raw,
    /// No mapping knows it, and it is less severe than `syslog.min_severity`.
    BelowSeverity,
}

impl SyslogTransport {
    pub(super) const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

impl SyslogRefusal {
    const ALL: [Self; 4] = [
        Self::UnknownSender,
        Self::AmbiguousSender,
        Self::TooManyConnections,
        Self::Handshake,
    ];

    /// The label of its metric.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::UnknownSender => "unknown_sender",
            Self::AmbiguousSender => "ambiguous_sender",
            Self::TooManyConnections => "too_many_connections",
            Self::Handshake => "handshake",
        }
    }
}

/// Counters since the start of the host.
#[derive(Debug, Default)]
pub struct SyslogStats {
    accepted: [AtomicU64; SyslogTransport::ALL.len()],
    refused: [AtomicU64; SyslogRefusal::ALL.len()],
    results: [AtomicU64; 3],
    cut_off: AtomicU64,
    connections: AtomicU64,
    waiting: AtomicU64,
}

impl SyslogStats {
    pub(super) fn count_accepted(&self, transport: SyslogTransport) {
        self.accepted[transport as usize].fetch_add(1, Relaxed);
        self.waiting.fetch_add(1, Relaxed);
    }

    pub(super) fn count_refused(&self, refusal: SyslogRefusal) {
        self.refused[refusal as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn count_results(&self, result: SyslogResult, messages: u64) {
        self.results[result as usize].fetch_add(messages, Relaxed);
    }

    /// These no longer wait: their alerts are in the journal, or never come there.
    pub(super) fn count_done(&self, messages: u64) {
        self.waiting.fetch_sub(messages, Relaxed);
    }

    pub(super) fn count_cut_off(&self, messages: u64) {
        self.cut_off.fetch_add(messages, Relaxed);
    }

    pub(super) fn connection_opened(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(super) fn connection_closed(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    /// Messages of known senders, by the transport.
    pub fn accepted(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let transports = SyslogTransport::ALL.iter().zip(&self.accepted);
        transports.map(|(transport, count)| (transport.as_str(), count.load(Relaxed)))
    }

    /// Refused messages and connections, by the reason.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let reasons = SyslogRefusal::ALL.iter().zip(&self.refused);
        reasons.map(|(reason, count)| (reason.label(), count.load(Relaxed)))
    }

    /// Alerts, by what has made them.
    #[must_use]
    pub fn alerts(&self) -> [(&'static str, u64); 2] {
        [
            ("mapping", self.result(SyslogResult::Mapped)),
            ("raw", self.result(SyslogResult::Raw)),
        ]
    }

    /// Messages that became no alert because of `syslog.min_severity`.
    #[must_use]
    pub fn below_severity(&self) -> u64 {
        self.result(SyslogResult::BelowSeverity)
    }

    /// Messages that were longer than `syslog.max_message_bytes`.
    #[must_use]
    pub fn cut_off(&self) -> u64 {
        self.cut_off.load(Relaxed)
    }

    /// Open connections.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// Accepted messages whose alerts are not durable yet.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    fn result(&self, result: SyslogResult) -> u64 {
        self.results[result as usize].load(Relaxed)
    }
}
