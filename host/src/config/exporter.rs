//! The settings of each exporter: `[exporter.NAME]`.
//!
//! The two lists name the exporters; a table may say more about one of them. An
//! exporter without a table has the defaults.
//!
//! Knows nothing of plugins: whether one offers such an exporter and accepts its
//! settings is checked when the exporter starts.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use delfin_plugin_api::{Kind, quantity::parse_duration, setting::did_you_mean};
use delfin_plugin_loader::Sha256;
use serde_json::{Map, Value};

use super::delivery::{
    self, BatchConfig, CircuitBreakerConfig, DeadLetterConfig, DeliveryOrder, QueueConfig,
    RetryConfig,
};
use super::filter::{Filter, read_filter};
use super::names::{ExporterNames, name_error};
use super::read::Section;
use super::secrets::SecretSettings;
use super::setting::SHORTEST;
use crate::journal::StartFrom;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

const ISOLATIONS: [(&str, Isolation); 3] = [
    ("auto", Isolation::Process),
    ("thread", Isolation::Thread),
    ("process", Isolation::Process),
];

/// With less, a plugin of this project does not start.
const LEAST_MEMORY: u64 = 16 << 20;
const LEAST_OPEN_FILES: u64 = 16;

/// A shorter interval would only repeat what the receiver has just got.
const SHORTEST_RESEND: Duration = Duration::from_secs(1);

/// One exporter, as configured.
///
/// Its `Debug` form leaves out the plugin's own settings: they hold passwords.
#[derive(Clone, PartialEq)]
pub struct ExporterConfig {
    /// Unique in the host.
    pub name: String,
    /// Which of the two lists names the exporter.
    pub kind: Kind,
    /// The exporter's name in its plugin. Default: `name`.
    pub plugin: String,
    /// The file name of the library, where two libraries offer this exporter.
    pub library: Option<String>,
    /// The checksum that the library must have. Default: any.
    pub sha256: Option<Sha256>,
    /// Where its plugin runs.
    pub isolation: Isolation,
    pub limits: ProcessLimits,
    /// The deadline of one call.
    pub timeout: Duration,
    /// Where the cursor of a new exporter starts in the journal.
    pub start_from: StartFrom,
    /// Whether the limits of this exporter make the host reject new batches,
    /// instead of dropping the exporter's oldest rows.
    pub required: bool,
    pub ordering: DeliveryOrder,
    pub batch: BatchConfig,
    pub queue: QueueConfig,
    pub retry: RetryConfig,
    pub circuit_breaker: CircuitBreakerConfig,
    pub dead_letter: DeadLetterConfig,
    pub filter: Filter,
    pub resend: ResendConfig,
    /// The plugin's own settings. Only the plugin checks them.
    pub config: Map<String, Value>,
    /// Which of them have placeholders.
    pub secrets: SecretSettings,
}

/// Where the plugin of an exporter runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// In a thread of the host.
    Thread,
    /// In a process of its own.
    #[default]
    Process,
}

impl Isolation {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Thread => "thread",
            Self::Process => "process",
        }
    }
}

/// Limits of the process of an exporter or a driver. `None`: as for the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Bytes of memory of its own.
    pub memory: Option<u64>,
    /// Descriptors.
    pub open_files: Option<u64>,
}

/// Whether and how often the host sends active alerts to the exporter again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResendConfig {
    /// As the plugin declares.
    #[default]
    AsDeclared,
    Every(Duration),
    Off,
}

impl fmt::Debug for ExporterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExporterConfig")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("plugin", &self.plugin)
            .field("library", &self.library)
            .field("isolation", &self.isolation)
            .field("timeout", &self.timeout)
            .field("start_from", &self.start_from)
            .field("required", &self.required)
            .field("queue", &self.queue)
            .field("retry", &self.retry)
            .field("resend", &self.resend)
            .finish_non_exhaustive()
    }
}

impl ResendConfig {
    /// The interval, given the one that the plugin declares.
    #[must_use]
    pub fn or_declared(self, declared: Option<Duration>) -> Option<Duration> {
        match self {
            Self::AsDeclared => declared,
            Self::Every(every) => Some(every),
            Self::Off => None,
        }
    }
}

/// Reads the tables and returns the listed exporters, in the order of the lists.
///
/// A table that no list names has no effect, but its mistakes are reported.
pub(super) fn read_exporters(
    mut section: Section<'_>,
    names: &ExporterNames,
) -> Vec<ExporterConfig> {
    let mut tables = BTreeMap::new();
    for (name, setting) in section.take_all() {
        if let Some(error) = name_error(&name) {
            setting.fail(format!("`{name}` {error}"));
        } else {
            names.warn_unless_listed(&name, &setting);
        }
        if let Some(table) = setting.section() {
            let exporter = read_exporter(table, &name, names.kind_of(&name));
            tables.insert(name, exporter);
        }
    }
    let listed = names.iter().map(|(name, kind)| {
        let table = tables.remove(name);
        table.unwrap_or_else(|| read_exporter(section.absent(), name, Some(kind)))
    });
    listed.collect()
}

fn read_exporter(mut section: Section<'_>, name: &str, kind: Option<Kind>) -> ExporterConfig {
    let required = section.take_flag("required", false);
    let plugin = section.take_text("plugin").map(|text| text.value);
    let (config, secrets) = section.take_plugin_settings("config");
    let exporter = ExporterConfig {
        name: name.to_owned(),
        // A table that no list names is discarded, so its kind does not matter.
        kind: kind.unwrap_or(Kind::Performance),
        plugin: plugin.unwrap_or_else(|| name.to_owned()),
        library: read_library(&mut section),
        sha256: read_sha256(&mut section),
        isolation: section.take_choice("isolation", &ISOLATIONS, Isolation::default()),
        limits: read_limits(section.take_section("limits")),
        timeout: section.take_duration("timeout", SHORTEST, DEFAULT_TIMEOUT),
        start_from: read_start(&mut section).unwrap_or(StartFrom::Now),
        required,
        ordering: delivery::read_ordering(&mut section),
        batch: delivery::read_batch(section.take_section("batch")),
        queue: delivery::read_queue(section.take_section("queue"), required),
        retry: delivery::read_retry(section.take_section("retry")),
        circuit_breaker: delivery::read_circuit_breaker(section.take_section("circuit_breaker")),
        dead_letter: delivery::read_dead_letter(section.take_section("dead_letter")),
        filter: read_filter(section.take_section("filter")),
        resend: read_resend(&mut section, kind),
        config,
        secrets,
    };
    section.finish();
    exporter
}

fn read_start(section: &mut Section<'_>) -> Option<StartFrom> {
    let setting = section.take("start_from")?;
    let text = setting.text()?;
    match &*text.value {
        "now" => Some(StartFrom::Now),
        "earliest" => Some(StartFrom::Earliest),
        ago if parse_duration(ago).is_some() => setting.duration(SHORTEST).map(StartFrom::Ago),
        _ => {
            let shown = &text.shown;
            let meant = did_you_mean(shown, ["now", "earliest"]);
            let remedy = meant.map_or_else(
                || "write `now`, `earliest` or a duration such as `2h`".to_owned(),
                |meant| format!("did you mean `{meant}`?"),
            );
            setting.fail(format!("`{shown}` is not a valid value ({remedy})"));
            None
        }
    }
}

fn read_library(section: &mut Section<'_>) -> Option<String> {
    let library = section.take_text("library")?.value;
    if library.contains('/') {
        section.fail(
            "library",
            "is a path (write the file name only: the host looks for it in `plugin_dirs`)",
        );
    }
    Some(library)
}

fn read_sha256(section: &mut Section<'_>) -> Option<Sha256> {
    let text = section.take_text("sha256")?.value;
    let checksum = text.parse();
    if checksum.is_err() {
        section.fail(
            "sha256",
            "is not a SHA-256 checksum (write 64 hexadecimal digits, as `sha256sum` prints them)",
        );
    }
    checksum.ok()
}

fn read_resend(section: &mut Section<'_>, kind: Option<Kind>) -> ResendConfig {
    let Some(setting) = section.take("resend") else {
        return ResendConfig::default();
    };
    if kind == Some(Kind::Performance) {
        setting.fail("applies to alert exporters only (remove the key)".to_owned());
    }
    if setting.is_word("off") {
        return ResendConfig::Off;
    }
    setting
        .duration(SHORTEST_RESEND)
        .map_or_else(ResendConfig::default, ResendConfig::Every)
}

pub(super) fn read_limits(mut section: Section<'_>) -> ProcessLimits {
    let limits = ProcessLimits {
        memory: section
            .take("memory")
            .and_then(|setting| setting.size(LEAST_MEMORY)),
        open_files: section
            .take("open_files")
            .and_then(|setting| setting.count(LEAST_OPEN_FILES)),
    };
    section.finish();
    limits
}
