//! The settings of the host itself: log, API, journal, alerts and shutdown.
//!
//! Each table has a struct. Its `Default` holds the defaults of the keys: no
//! other place repeats them.
//!
//! Knows nothing of exporters and storages.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use log::LevelFilter;

use super::host_address::HostAddress;
use super::names::ExporterNames;
use super::read::Section;
use super::setting::{SHORTEST, Setting};
use crate::journal;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The default of `api.max_ingest_bytes`, as a multiple of `max_decompressed_bytes`: so much
/// memory the largest request needs.
const INGEST_MEMORY_FACTOR: u64 = 4;

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The least severe level that is written.
    pub level: LevelFilter,
    pub format: LogFormat,
    /// The levels of single exporters, by name.
    pub levels: BTreeMap<String, LevelFilter>,
}

/// The form of a log record, which is one line in each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// `[api]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    pub listen: SocketAddr,
    /// Accept that other machines can use the API without a token while no token exists.
    pub allow_unauthenticated: bool,
    /// Names by which clients may address the host, in addition to addresses and names
    /// without a dot.
    pub hosts: Vec<HostAddress>,
    /// The limit of a request body as it arrives.
    pub max_body_bytes: u64,
    /// The limit of a request body after decompression.
    pub max_decompressed_bytes: u64,
    /// The limit of the memory of all request bodies together, and of the batches made of
    /// them until they are durable.
    pub max_ingest_bytes: u64,
    /// The limit of series or alerts in one request.
    pub max_rows: u64,
    /// The limit of a name, a label or another string in a request.
    pub max_string_bytes: u64,
}

/// `[journal]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// The limit of both journals together. The alert journal gets an eighth of
    /// it for itself, the performance journal the rest.
    pub max_bytes: u64,
    /// How long the journal keeps a record for an exporter that is not required,
    /// or while no exporter exists.
    pub max_age: Duration,
    /// How long the journal keeps a record that every exporter has committed.
    pub retention: Duration,
    /// With less free disk space than this, the journal rejects new records. For
    /// the alert journal the limit is half of it.
    pub min_free_bytes: u64,
    /// The memory for decoded batches that exporters share.
    pub cache_bytes: u64,
}

/// `[alerts]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertsConfig {
    /// How many active alerts the host remembers.
    pub max_active: usize,
    /// How long an alert of the category `NotSpecified` stays active without being seen again.
    pub not_specified_max_age: Duration,
    /// How long an alert that a client sent stays active without being seen again. `None`:
    /// indefinitely.
    pub ingested_max_age: Option<Duration>,
    /// Vendors whose storages give each alert a sequence number of its own, so that the number
    /// alone identifies an alert that a client sent without a match key.
    pub unique_sequence_numbers: Vec<String>,
}

/// `[shutdown]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownConfig {
    /// How long the exporters drain when the host stops.
    pub drain_timeout: Duration,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: LevelFilter::Info,
            format: LogFormat::Text,
            levels: BTreeMap::new(),
        }
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8190)),
            allow_unauthenticated: false,
            hosts: Vec::new(),
            max_body_bytes: 64 * MIB,
            max_decompressed_bytes: 256 * MIB,
            max_ingest_bytes: 256 * MIB * INGEST_MEMORY_FACTOR,
            max_rows: 1_000_000,
            max_string_bytes: 64 * KIB,
        }
    }
}

impl ApiConfig {
    /// Whether every call needs a token, also while none exists.
    #[must_use]
    pub fn needs_tokens(&self) -> bool {
        !self.listen.ip().to_canonical().is_loopback() && !self.allow_unauthenticated
    }
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            max_bytes: 8 * GIB,
            max_age: Duration::from_hours(72),
            retention: Duration::from_hours(2),
            min_free_bytes: GIB,
            cache_bytes: 64 * MIB,
        }
    }
}

impl From<&JournalConfig> for journal::JournalLimits {
    fn from(config: &JournalConfig) -> Self {
        Self {
            max_bytes: config.max_bytes,
            max_age: config.max_age,
            min_free_bytes: config.min_free_bytes,
            retention: config.retention,
            orphan_ttl: Self::ORPHAN_TTL,
            max_commit_delay: Self::MAX_COMMIT_DELAY,
        }
    }
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            max_active: 50_000,
            not_specified_max_age: Duration::from_hours(1),
            ingested_max_age: None,
            unique_sequence_numbers: vec!["Huawei".to_owned()],
        }
    }
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self {
            drain_timeout: Duration::from_secs(30),
        }
    }
}

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::Off),
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
];

const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

/// Reads `[log]`, and warns about levels for exporters that are not listed.
pub(super) fn read_log(mut section: Section<'_>, exporters: &ExporterNames) -> LogConfig {
    let default = LogConfig::default();
    let mut levels = BTreeMap::new();
    for (name, setting) in section.take_section("levels").take_all() {
        exporters.warn_unless_listed(&name, &setting);
        if let Some(level) = setting.choice(&LEVELS) {
            levels.insert(name, level);
        }
    }
    let log = LogConfig {
        level: section.take_choice("level", &LEVELS, default.level),
        format: section.take_choice("format", &FORMATS, default.format),
        levels,
    };
    section.finish();
    log
}

/// Reads `[api]`. `has_tokens` says whether clients can show a token.
pub(super) fn read_api(mut section: Section<'_>, has_tokens: impl FnOnce() -> bool) -> ApiConfig {
    let default = ApiConfig::default();
    let max_decompressed_bytes =
        section.take_size("max_decompressed_bytes", 1, default.max_decompressed_bytes);
    let api = ApiConfig {
        listen: section.take_address("listen", default.listen),
        allow_unauthenticated: section
            .take_flag("allow_unauthenticated", default.allow_unauthenticated),
        hosts: section.take("hosts").map(read_hosts).unwrap_or_default(),
        max_body_bytes: section.take_size("max_body_bytes", 1, default.max_body_bytes),
        max_decompressed_bytes,
        max_ingest_bytes: section.take_size(
            "max_ingest_bytes",
            1,
            max_decompressed_bytes.saturating_mul(INGEST_MEMORY_FACTOR),
        ),
        max_rows: section.take_count("max_rows", 1, default.max_rows),
        max_string_bytes: section.take_size("max_string_bytes", 1, default.max_string_bytes),
    };
    if api.needs_tokens() && !has_tokens() {
        section.fail(
            "listen",
            "is reachable from other machines, and no token exists (add one with `delfin-host \
             tokens add NAME --scope admin`, listen on `127.0.0.1`, or accept this with \
             `allow_unauthenticated = true`)",
        );
    }
    if api.max_decompressed_bytes < api.max_body_bytes {
        section.fail(
            "max_decompressed_bytes",
            "is less than `max_body_bytes` (raise it: a body may also arrive uncompressed)",
        );
    }
    if api.max_ingest_bytes < api.max_decompressed_bytes {
        section.fail(
            "max_ingest_bytes",
            "is less than `max_decompressed_bytes` (raise it: one request may need several times \
             the size of its body)",
        );
    }
    section.finish();
    api
}

fn read_hosts(setting: Setting<'_>) -> Vec<HostAddress> {
    let texts = setting.texts().unwrap_or_default().into_iter();
    let hosts = texts.filter_map(|text| match HostAddress::parse(&text.value) {
        Some(host) if host.port.is_none() => Some(host),
        _ => {
            setting.fail(format!(
                "`{}` is not a host name (write it without scheme and port, as in \
                 `collector.example.com`)",
                text.shown
            ));
            None
        }
    });
    hosts.collect()
}

pub(super) fn read_journal(mut section: Section<'_>) -> JournalConfig {
    let default = JournalConfig::default();
    let journal = JournalConfig {
        max_bytes: section.take_size("max_bytes", MIB, default.max_bytes),
        max_age: section.take_duration("max_age", SHORTEST, default.max_age),
        retention: section.take_duration("retention", Duration::ZERO, default.retention),
        min_free_bytes: section.take_size("min_free_bytes", 0, default.min_free_bytes),
        cache_bytes: section.take_size("cache_bytes", 0, default.cache_bytes),
    };
    section.finish();
    journal
}

pub(super) fn read_alerts(mut section: Section<'_>) -> AlertsConfig {
    let default = AlertsConfig::default();
    let max_active = section.take_count("max_active", 1, default.max_active as u64);
    let not_specified_max_age = section.take_duration(
        "not_specified_max_age",
        SHORTEST,
        default.not_specified_max_age,
    );
    let ingested_max_age = section.take_duration(
        "ingested_max_age",
        Duration::ZERO,
        default.ingested_max_age.unwrap_or_default(),
    );
    let unique_sequence_numbers = match section.take("unique_sequence_numbers") {
        Some(setting) => {
            let vendors = setting.texts().unwrap_or_default().into_iter();
            vendors.map(|vendor| vendor.value).collect()
        }
        None => default.unique_sequence_numbers,
    };
    section.finish();
    AlertsConfig {
        max_active: usize::try_from(max_active).unwrap_or(usize::MAX),
        not_specified_max_age,
        ingested_max_age: (!ingested_max_age.is_zero()).then_some(ingested_max_age),
        unique_sequence_numbers,
    }
}

pub(super) fn read_shutdown(mut section: Section<'_>) -> ShutdownConfig {
    let default = ShutdownConfig::default();
    let drain_timeout =
        section.take_duration("drain_timeout", Duration::ZERO, default.drain_timeout);
    section.finish();
    ShutdownConfig { drain_timeout }
}
