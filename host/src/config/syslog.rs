//! The settings of syslog: `[syslog]`.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use uuid::Uuid;

use super::{api::read_tls, read::Section, setting::Setting};
use crate::{access::CertificateFiles, platform::configuration_folder};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// `[syslog]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogConfig {
    /// The addresses on which messages are received; none if they are not.
    pub listen_udp: Option<SocketAddr>,
    pub listen_tcp: Option<SocketAddr>,
    pub listen_tls: Option<SocketAddr>,
    pub tls: Option<CertificateFiles>,
    /// The kernel's buffer for datagrams that were not read yet.
    pub receive_buffer: u64,
    /// The rest of a longer message is cut off.
    pub max_message_bytes: u64,
    /// Of TCP and TLS together.
    pub max_connections: usize,
    /// The least severity of a message that becomes an alert although no mapping knows it;
    /// none: only mapped messages do.
    pub min_severity: Option<SyslogSeverity>,
    /// The folder with mapping files, which need not exist.
    pub mapping_dir: PathBuf,
    /// The storages of further addresses.
    pub senders: BTreeMap<IpAddr, Uuid>,
}

/// The severity of a syslog message, the most severe one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SyslogSeverity {
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

impl SyslogSeverity {
    const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
    ];

    /// The severity with the code of RFC 5424.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Emergency => "emergency",
            Self::Alert => "alert",
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl SyslogConfig {
    /// Whether messages are received.
    #[must_use]
    pub fn is_on(&self) -> bool {
        let addresses = [self.listen_udp, self.listen_tcp, self.listen_tls];
        addresses.iter().any(Option::is_some)
    }
}

impl Default for SyslogConfig {
    fn default() -> Self {
        Self {
            listen_udp: None,
            listen_tcp: None,
            listen_tls: None,
            tls: None,
            receive_buffer: 8 * MIB,
            max_message_bytes: 64 * KIB,
            max_connections: 1_000,
            min_severity: Some(SyslogSeverity::Warning),
            mapping_dir: configuration_folder().join("syslog.d"),
            senders: BTreeMap::new(),
        }
    }
}

pub(super) fn read_syslog(mut section: Section<'_>) -> SyslogConfig {
    let default = SyslogConfig::default();
    let mut severities = vec![("off", None)];
    severities.extend(SyslogSeverity::ALL.map(|one| (one.as_str(), Some(one))));
    let [listen_udp, listen_tcp, listen_tls] =
        ["listen_udp", "listen_tcp", "listen_tls"].map(|key| {
            let setting = section.take(key);
            setting.and_then(|setting| setting.address())
        });
    let max_connections = section.take_count("max_connections", 1, default.max_connections as u64);
    let mapping_dir = section.take_text("mapping_dir");
    let syslog = SyslogConfig {
        listen_udp,
        listen_tcp,
        listen_tls,
        tls: read_tls(section.take_section("tls"), "syslog.tls"),
        receive_buffer: section.take_size("receive_buffer", 64 * KIB, default.receive_buffer),
        max_message_bytes: section.take_size("max_message_bytes", KIB, default.max_message_bytes),
        max_connections: usize::try_from(max_connections).unwrap_or(usize::MAX >> 3),
        min_severity: section.take_choice("min_severity", &severities, default.min_severity),
        mapping_dir: mapping_dir.map_or(default.mapping_dir, |text| text.value.into()),
        senders: section
            .take("senders")
            .as_ref()
            .map(read_senders)
            .unwrap_or_default(),
    };
    if syslog.listen_tls.is_some() && syslog.tls.is_none() {
        section.fail(
            "listen_tls",
            "needs a certificate (set `certificate` and `key` in `[syslog.tls]`)",
        );
    }
    section.finish();
    syslog
}

fn read_senders(setting: &Setting<'_>) -> BTreeMap<IpAddr, Uuid> {
    let texts = setting.texts().unwrap_or_default().into_iter();
    let senders = texts.filter_map(|text| {
        let parts = text.value.split_once('=');
        let sender = parts.and_then(|(address, id)| {
            Some((address.trim().parse().ok()?, id.trim().parse().ok()?))
        });
        if sender.is_none() {
            setting.fail(format!(
                "`{}` is not an IP address with the id of a storage (write \
                 `192.0.2.11=5c1d3a52-7b0e-4d8a-9a35-2f6f1d2b8c10`)",
                text.shown
            ));
        }
        sender
    });
    senders.collect()
}
