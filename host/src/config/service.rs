//! The settings of the host itself: log, API, journal and shutdown.
//!
//! Each part has its own struct, whose `Default` is what holds for a key that
//! the file leaves out.
//!
//! Knows nothing of exporters and storages.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use log::LevelFilter;

use super::exporter::Names;
use super::read::Section;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The shortest duration that is more than nothing: times are in milliseconds.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The least severe level that is written.
    pub level: LevelFilter,
    /// How a record is written.
    pub format: LogFormat,
    /// The level of single exporters, by their names.
    pub levels: BTreeMap<String, LevelFilter>,
}

/// How a log record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// The HTTP interface and its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whether anyone who can reach it may use it.
    pub allow_unauthenticated: bool,
    /// The largest request body, as it arrives.
    pub max_body_bytes: u64,
    /// The largest request body once decompressed.
    pub max_decompressed_bytes: u64,
    /// The most series or alerts in one request.
    pub max_rows: u64,
    /// The longest name, label or other string in a request.
    pub max_string_bytes: u64,
}

/// The limits of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// The most that a journal's journal may hold.
    pub max_bytes: u64,
    /// How long a batch is kept for an exporter that does not take it.
    pub max_age: Duration,
    /// How long a batch is kept that every exporter is done with.
    pub retention: Duration,
    /// The free disk space below which nothing more is accepted.
    pub min_free_bytes: u64,
    /// The most memory for decoded batches.
    pub cache_bytes: u64,
}

/// The limits of what is remembered of alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertsConfig {
    /// The most alerts that are held as active.
    pub max_active: usize,
}

/// How the host stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownConfig {
    /// How long exporters may go on delivering what is accepted.
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
            max_body_bytes: 64 * MIB,
            max_decompressed_bytes: 256 * MIB,
            max_rows: 1_000_000,
            max_string_bytes: 64 * KIB,
        }
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

impl Default for AlertsConfig {
    fn default() -> Self {
        Self { max_active: 50_000 }
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

/// Reads `[log]`; its `levels` are left to be checked against these names.
pub(super) fn read_log(mut section: Section<'_>, exporters: &Names) -> LogConfig {
    let default = LogConfig::default();
    let mut levels = BTreeMap::new();
    for (name, item) in section.take_section("levels").into_items() {
        exporters.warn_unless_named(&name, &item);
        if let Some(level) = item.choice(&LEVELS) {
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

pub(super) fn read_api(mut section: Section<'_>) -> ApiConfig {
    let default = ApiConfig::default();
    let api = ApiConfig {
        listen: section.take_address("listen", default.listen),
        allow_unauthenticated: section
            .take_flag("allow_unauthenticated", default.allow_unauthenticated),
        max_body_bytes: section.take_size("max_body_bytes", 1, default.max_body_bytes),
        max_decompressed_bytes: section.take_size(
            "max_decompressed_bytes",
            1,
            default.max_decompressed_bytes,
        ),
        max_rows: section.take_count("max_rows", 1, default.max_rows),
        max_string_bytes: section.take_size("max_string_bytes", 1, default.max_string_bytes),
    };
    if !api.listen.ip().to_canonical().is_loopback() && !api.allow_unauthenticated {
        section.fail(
            "listen",
            "can be reached from other machines, and nobody is asked who they are (listen on \
             `127.0.0.1`, or accept that with `allow_unauthenticated = true`)",
        );
    }
    if api.max_decompressed_bytes < api.max_body_bytes {
        section.fail(
            "max_decompressed_bytes",
            "must be at least `max_body_bytes` (a body never shrinks when it is decompressed)",
        );
    }
    section.finish();
    api
}

pub(super) fn read_journal(mut section: Section<'_>) -> JournalConfig {
    let default = JournalConfig::default();
    let journal = JournalConfig {
        max_bytes: section.take_size("max_bytes", MIB, default.max_bytes),
        max_age: section.take_duration("max_age", TICK, default.max_age),
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
    section.finish();
    AlertsConfig {
        max_active: usize::try_from(max_active).unwrap_or(usize::MAX),
    }
}

pub(super) fn read_shutdown(mut section: Section<'_>) -> ShutdownConfig {
    let default = ShutdownConfig::default();
    let drain_timeout =
        section.take_duration("drain_timeout", Duration::ZERO, default.drain_timeout);
    section.finish();
    ShutdownConfig { drain_timeout }
}
