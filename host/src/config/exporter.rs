//! Which exporters receive batches, and how each is run.
//!
//! The two lists name them; a table `[exporter.NAME]` may say more about one.
//! One name is one exporter of one kind.
//!
//! Knows nothing of plugins: whether any offers such an exporter, and whether
//! it likes its settings, is not known here.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use delfin_plugin_api::{Kind, quantity::parse_duration};
use delfin_plugin_loader::Sha256;
use serde_json::{Map, Value};

use super::delivery::{
    self, BatchConfig, CircuitBreakerConfig, DeadLetterConfig, Ordering, QueueConfig, RetryConfig,
};
use super::filter::{Filter, read_filter};
use super::item::Item;
use super::mistake::did_you_mean;
use super::name::name_fault;
use super::read::Section;
use super::service::TICK;
pub use crate::journal::StartFrom;

/// One exporter, as configured.
///
/// Its `Debug` form leaves the plugin's own settings out: they hold passwords.
#[derive(Clone, PartialEq)]
pub struct ExporterConfig {
    /// Its name, unique in the host.
    pub name: String,
    /// What it receives: the list that names it.
    pub kind: Kind,
    /// The exporter's name in its plugin.
    pub plugin: String,
    /// The library's file name, where two offer this exporter.
    pub library: Option<String>,
    /// The only content of that file that will do.
    pub sha256: Option<Sha256>,
    /// How long one call may take.
    pub timeout: Duration,
    /// Where a new exporter begins in the journal.
    pub start_from: StartFrom,
    /// Whether what waits for it holds up whoever hands batches in.
    pub required: bool,
    /// Which order is kept.
    pub ordering: Ordering,
    /// How records of the journal become calls.
    pub batch: BatchConfig,
    /// How much may wait for it.
    pub queue: QueueConfig,
    /// How a failed delivery is tried again.
    pub retry: RetryConfig,
    /// When its receiver is taken to be away.
    pub circuit_breaker: CircuitBreakerConfig,
    /// What is kept of rows that are given up.
    pub dead_letter: DeadLetterConfig,
    /// Which rows it is sent.
    pub filter: Filter,
    /// Whether and how often it is sent the active alerts again.
    pub resend: Resend,
    /// The plugin's own settings, checked by the plugin alone.
    pub config: Map<String, Value>,
}

/// Whether and how often an exporter is sent the active alerts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resend {
    /// As its plugin declares.
    #[default]
    AsDeclared,
    /// In this rhythm.
    Every(Duration),
    /// Never.
    Off,
}

impl fmt::Debug for ExporterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExporterConfig")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("plugin", &self.plugin)
            .field("library", &self.library)
            .field("timeout", &self.timeout)
            .field("start_from", &self.start_from)
            .field("required", &self.required)
            .field("queue", &self.queue)
            .field("retry", &self.retry)
            .field("resend", &self.resend)
            .finish_non_exhaustive()
    }
}

impl Resend {
    /// The rhythm for an exporter whose plugin declares that one.
    #[must_use]
    pub fn or_declared(self, declared: Option<Duration>) -> Option<Duration> {
        match self {
            Self::AsDeclared => declared,
            Self::Every(every) => Some(every),
            Self::Off => None,
        }
    }
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// More often than this, what is active is hardly news.
const LEAST_RESEND: Duration = Duration::from_secs(1);

/// The names in the two lists, performance first, each list in its order.
pub(super) struct Names(Vec<Name>);

struct Name {
    name: String,
    kind: Kind,
    /// Whether it stands in the file as it is, and so may be shown.
    plain: bool,
}

impl Names {
    pub(super) fn read(root: &mut Section<'_>) -> Self {
        let mut names = Self(Vec::new());
        names.read_list(root.take("performance_exporters"), Kind::Performance);
        names.read_list(root.take("alert_exporters"), Kind::Alert);
        names
    }

    /// Warns about a key that is meant to be one of these names and is not.
    pub(super) fn warn_unless_named(&self, name: &str, item: &Item<'_>) {
        if self.kind_of(name).is_some() {
            return;
        }
        let known = self
            .0
            .iter()
            .filter(|known| known.plain)
            .map(|known| known.name.as_str());
        let remedy = match did_you_mean(name, known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "add it to one of them, or remove this".to_owned(),
        };
        item.warn(format!(
            "has no effect: neither `performance_exporters` nor `alert_exporters` names it ({remedy})"
        ));
    }

    fn read_list(&mut self, item: Option<Item<'_>>, kind: Kind) {
        let Some(item) = item else { return };
        for text in item.texts().unwrap_or_default() {
            let shown = text.shown;
            if let Some(fault) = name_fault(&text.value) {
                item.fail(format!("`{shown}` {fault}"));
                continue;
            }
            match self.kind_of(&text.value) {
                None => {
                    let plain = shown == text.value;
                    self.0.push(Name { name: text.value, kind, plain });
                }
                Some(other) if other == kind => {
                    item.fail(format!("`{shown}` is named twice (name it once)"));
                }
                Some(other) => item.fail(format!(
                    "`{shown}` is in `{other}_exporters` too, and a name has one kind (for a second \
                     exporter of the same plugin, choose another name and set its `plugin`)"
                )),
            }
        }
    }

    fn kind_of(&self, name: &str) -> Option<Kind> {
        self.0
            .iter()
            .find(|known| known.name == name)
            .map(|known| known.kind)
    }
}

/// What a table `[exporter.NAME]` says.
struct Table {
    plugin: Option<String>,
    library: Option<String>,
    sha256: Option<Sha256>,
    timeout: Duration,
    start_from: StartFrom,
    required: bool,
    ordering: Ordering,
    batch: BatchConfig,
    queue: QueueConfig,
    retry: RetryConfig,
    circuit_breaker: CircuitBreakerConfig,
    dead_letter: DeadLetterConfig,
    filter: Filter,
    resend: Resend,
    config: Map<String, Value>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            plugin: None,
            library: None,
            sha256: None,
            timeout: DEFAULT_TIMEOUT,
            start_from: StartFrom::Now,
            required: false,
            ordering: Ordering::default(),
            batch: BatchConfig::default(),
            queue: QueueConfig::new(false),
            retry: RetryConfig::default(),
            circuit_breaker: CircuitBreakerConfig::default(),
            dead_letter: DeadLetterConfig::default(),
            filter: Filter::default(),
            resend: Resend::default(),
            config: Map::new(),
        }
    }
}

/// Reads the tables, and puts them beside the names.
pub(super) fn read(section: Section<'_>, names: Names) -> Vec<ExporterConfig> {
    let mut tables = BTreeMap::new();
    for (name, item) in section.into_items() {
        if let Some(fault) = name_fault(&name) {
            item.fail(format!("`{name}` {fault}"));
        } else {
            names.warn_unless_named(&name, &item);
        }
        if let Some(section) = item.section() {
            let kind = names.kind_of(&name);
            tables.insert(name, read_table(section, kind));
        }
    }
    let exporters = names.0.into_iter().map(|Name { name, kind, .. }| {
        let table = tables.remove(&name).unwrap_or_default();
        ExporterConfig {
            kind,
            plugin: table.plugin.unwrap_or_else(|| name.clone()),
            library: table.library,
            sha256: table.sha256,
            timeout: table.timeout,
            start_from: table.start_from,
            required: table.required,
            ordering: table.ordering,
            batch: table.batch,
            queue: table.queue,
            retry: table.retry,
            circuit_breaker: table.circuit_breaker,
            dead_letter: table.dead_letter,
            filter: table.filter,
            resend: table.resend,
            config: table.config,
            name,
        }
    });
    exporters.collect()
}

fn read_table(mut section: Section<'_>, kind: Option<Kind>) -> Table {
    let default = Table::default();
    let required = section.take_flag("required", default.required);
    let table = Table {
        plugin: section.take_text("plugin").map(|text| text.value),
        library: read_library(&mut section),
        sha256: read_sha256(&mut section),
        timeout: section.take_duration("timeout", TICK, default.timeout),
        start_from: read_start(&mut section),
        required,
        ordering: delivery::read_ordering(&mut section),
        batch: delivery::read_batch(section.take_section("batch")),
        queue: delivery::read_queue(section.take_section("queue"), required),
        retry: delivery::read_retry(section.take_section("retry")),
        circuit_breaker: delivery::read_circuit_breaker(section.take_section("circuit_breaker")),
        dead_letter: delivery::read_dead_letter(section.take_section("dead_letter")),
        filter: read_filter(section.take_section("filter")),
        resend: read_resend(&mut section, kind),
        config: section.take_free("config"),
    };
    check_isolation(&mut section);
    section.finish();
    table
}

fn read_start(section: &mut Section<'_>) -> StartFrom {
    let Some(item) = section.take("start_from") else {
        return StartFrom::Now;
    };
    let Some(text) = item.text() else {
        return StartFrom::Now;
    };
    match &*text.value {
        "now" => StartFrom::Now,
        "earliest" => StartFrom::Earliest,
        ago if parse_duration(ago).is_some() => {
            item.duration(TICK).map_or(StartFrom::Now, StartFrom::Ago)
        }
        _ => {
            let shown = &text.shown;
            let meant = did_you_mean(shown, ["now", "earliest"]);
            let remedy = meant.map_or_else(
                || "write `now`, `earliest`, or how long ago, as in `2h`".to_owned(),
                |meant| format!("did you mean `{meant}`?"),
            );
            item.fail(format!("`{shown}` is not known ({remedy})"));
            StartFrom::Now
        }
    }
}

fn read_library(section: &mut Section<'_>) -> Option<String> {
    let library = section.take_text("library")?.value;
    if library.contains('/') {
        section.fail(
            "library",
            "is a path (write the file's name alone; `plugin_dirs` says where to look)",
        );
    }
    Some(library)
}

fn read_sha256(section: &mut Section<'_>) -> Option<Sha256> {
    let text = section.take_text("sha256")?.value;
    let read = text.parse();
    if read.is_err() {
        section.fail(
            "sha256",
            "is not one (write 64 hexadecimal digits, as `sha256sum` prints them)",
        );
    }
    read.ok()
}

fn read_resend(section: &mut Section<'_>, kind: Option<Kind>) -> Resend {
    let Some(item) = section.take("resend") else {
        return Resend::default();
    };
    if kind == Some(Kind::Performance) {
        item.fail("is for exporters of alerts (remove it)".to_owned());
    }
    if item.is_word("off") {
        return Resend::Off;
    }
    item.duration(LEAST_RESEND)
        .map_or_else(Resend::default, Resend::Every)
}

/// Every exporter runs in a thread of the host, which is what `auto` and
/// `thread` both ask for: there is nothing to remember.
fn check_isolation(section: &mut Section<'_>) {
    let known = [("auto", true), ("thread", true), ("process", false)];
    if !section.take_choice("isolation", &known, true) {
        section.fail(
            "isolation",
            "is not there yet (write `thread`, or `auto`, or leave it out)",
        );
    }
}
