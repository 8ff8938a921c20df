//! The settings of the host itself: log, memory, journal, alerts and shutdown.
//!
//! Each table has a struct. Its `Default` holds the defaults of the keys: no
//! other place repeats them.
//!
//! Knows nothing of exporters and storages.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;

use super::names::ExporterNames;
use super::read::Section;
use super::setting::SHORTEST;
use crate::{journal, platform::configuration_folder};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The least severe level that is written.
    pub level: LevelFilter,
    pub format: LogFormat,
    /// The levels of single exporters, by name.
    pub levels: BTreeMap<String, LevelFilter>,
    /// A file for audit records, in addition to the log.
    pub audit_file: Option<PathBuf>,
    /// The file of the log. `None`: standard error, or the journal of systemd.
    pub file: Option<LogFileConfig>,
}

/// The file of the log, and its rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFileConfig {
    pub path: PathBuf,
    /// The size at which it is rotated.
    pub max_bytes: u64,
    /// How many rotated files are kept.
    pub count: u64,
}

impl LogFileConfig {
    const MAX_BYTES: u64 = 64 * MIB;
    const COUNT: u64 = 5;

    /// A file with the defaults of rotation.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self {
            path,
            max_bytes: Self::MAX_BYTES,
            count: Self::COUNT,
        }
    }
}

/// The form of a log record, which is one line in each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// `[memory]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryConfig {
    /// The limit of the memory of requests and of decoded batches, in bytes.
    pub max: u64,
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

/// `[inventory]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InventoryConfig {
    /// The file with the key of the access data. `None`: a credential of the service, or a key in
    /// the state folder.
    pub key_file: Option<PathBuf>,
}

/// `[traps]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrapsConfig {
    /// The address on which SNMP traps are received; none if they are not.
    pub listen: Option<SocketAddr>,
    /// The kernel's buffer for traps that were not read yet.
    pub receive_buffer: u64,
    /// The folder with mapping files, which need not exist.
    pub mapping_dir: PathBuf,
    /// The folders with MIB files.
    pub mib_dirs: Vec<PathBuf>,
    /// The models whose storages are asked over SNMP whether they answer.
    pub validated_models: Vec<String>,
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
            audit_file: None,
            file: None,
        }
    }
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { max: 64 * MIB }
    }
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            max_bytes: 8 * GIB,
            max_age: Duration::from_hours(72),
            retention: Duration::from_hours(2),
            min_free_bytes: GIB,
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

impl Default for TrapsConfig {
    fn default() -> Self {
        Self {
            listen: None,
            receive_buffer: 8 * MIB,
            mapping_dir: configuration_folder().join("traps.d"),
            mib_dirs: Vec::new(),
            validated_models: Vec::new(),
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

fn read_log_file(section: &mut Section<'_>) -> Option<LogFileConfig> {
    let path = section.take_text("file").map(|text| text.value.into());
    let max_bytes = section.take_size("file_max_bytes", 4096, LogFileConfig::MAX_BYTES);
    let count = section.take_count("file_count", 1, LogFileConfig::COUNT);
    path.map(|path| LogFileConfig {
        path,
        max_bytes,
        count,
    })
}

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
        audit_file: section
            .take_text("audit_file")
            .map(|text| text.value.into()),
        file: read_log_file(&mut section),
    };
    section.finish();
    log
}

pub(super) fn read_memory(mut section: Section<'_>) -> MemoryConfig {
    let default = MemoryConfig::default();
    let memory = MemoryConfig {
        max: section.take_size("max", 1, default.max),
    };
    section.finish();
    memory
}

pub(super) fn read_journal(mut section: Section<'_>) -> JournalConfig {
    let default = JournalConfig::default();
    let journal = JournalConfig {
        max_bytes: section.take_size("max_bytes", MIB, default.max_bytes),
        max_age: section.take_duration("max_age", SHORTEST, default.max_age),
        retention: section.take_duration("retention", Duration::ZERO, default.retention),
        min_free_bytes: section.take_size("min_free_bytes", 0, default.min_free_bytes),
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

/// `needs_key_file`: the hosts of a cluster share the inventory.
pub(super) fn read_inventory(mut section: Section<'_>, needs_key_file: bool) -> InventoryConfig {
    const MISSING: &str = "is missing, and with `cluster.kafka` the hosts of a cluster need one key for the access data of \
                           storages (make it with `head -c 32 /dev/urandom`, and copy it to each host with mode 0600)";
    let key_file = section.take_text("key_file");
    if needs_key_file && key_file.is_none() {
        section.fail("key_file", MISSING);
    }
    section.finish();
    InventoryConfig {
        key_file: key_file.map(|text| text.value.into()),
    }
}

pub(super) fn read_traps(mut section: Section<'_>) -> TrapsConfig {
    let default = TrapsConfig::default();
    let listen = section.take("listen");
    let mapping_dir = section.take_text("mapping_dir");
    let mut texts = |key| {
        let setting = section.take(key);
        let texts = setting.and_then(|setting| setting.texts());
        let texts = texts.unwrap_or_default().into_iter();
        texts.map(|text| text.value)
    };
    let mib_dirs = texts("mib_dirs").map(PathBuf::from).collect();
    let validated_models = texts("validated_models").collect();
    let traps = TrapsConfig {
        listen: listen.and_then(|setting| setting.address()),
        receive_buffer: section.take_size("receive_buffer", 64 * KIB, default.receive_buffer),
        mapping_dir: mapping_dir.map_or(default.mapping_dir, |text| text.value.into()),
        mib_dirs,
        validated_models,
    };
    section.finish();
    traps
}

pub(super) fn read_shutdown(mut section: Section<'_>) -> ShutdownConfig {
    let default = ShutdownConfig::default();
    let drain_timeout =
        section.take_duration("drain_timeout", Duration::ZERO, default.drain_timeout);
    section.finish();
    ShutdownConfig { drain_timeout }
}
