//! The configuration: found, read, checked once at start.
//!
//! What comes out is complete and sound, or a list of every mistake that the
//! text has. No bad value is ever replaced by a default, no unknown key passed
//! over, and no message holds what a placeholder stands for.
//!
//! Knows nothing of plugins, drivers or sockets.

mod delivery;
mod exporter;
mod filter;
mod find;
mod ini;
mod item;
mod mistake;
mod name;
mod placeholder;
mod read;
mod service;
mod storage;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use delfin_plugin_api::redact::Redactor;
use toml::de::DeTable;

pub use delivery::{
    BatchConfig, CircuitBreakerConfig, DeadLetterConfig, OnFull, OnOverflow, OnUncertain, Ordering,
    QueueConfig, RetryConfig,
};
pub use exporter::{ExporterConfig, Resend, StartFrom};
pub use filter::Filter;
pub use find::{EMBEDDED, ENV, LoadError, Source};
pub use mistake::{ConfigErrors, Mistake};
pub use service::{AlertsConfig, ApiConfig, JournalConfig, LogConfig, LogFormat, ShutdownConfig};
pub use storage::StorageConfig;

use read::{Document, Section};

/// Everything that the configuration says, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where plugins are looked for.
    pub plugin_dirs: Vec<PathBuf>,
    /// Where opened plugins are copied to.
    pub plugin_cache_dir: PathBuf,
    /// Where everything that lasts is kept.
    pub state_dir: PathBuf,
    /// What is logged, and how.
    pub log: LogConfig,
    /// The HTTP interface and its limits.
    pub api: ApiConfig,
    /// The limits of the journal.
    pub journal: JournalConfig,
    /// The limits of what is remembered of alerts.
    pub alerts: AlertsConfig,
    /// How the host stops.
    pub shutdown: ShutdownConfig,
    /// The declared storages, in their order.
    pub storages: Vec<StorageConfig>,
    /// The exporters in their order, those for performance first.
    pub exporters: Vec<ExporterConfig>,
    /// Knows the values of all placeholders.
    pub(crate) redactor: Redactor,
    /// What may be meant but probably is not, a line each, with its place.
    pub warnings: Vec<String>,
}

/// A configuration, and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Where it came from.
    pub source: Source,
}

/// Finds the configuration, reads and checks it.
///
/// # Errors
///
/// When a named file is missing, a file cannot be read, or the text has
/// mistakes.
pub fn load(explicit: Option<&Path>) -> Result<Loaded, LoadError> {
    let (source, text) = find::find(explicit)?;
    let config = parse(&text, &source)?;
    Ok(Loaded { config, source })
}

/// Reads and checks the text of a configuration.
///
/// # Errors
///
/// When the text has mistakes: all of them, but that nothing can be said about
/// a text that is not TOML beyond the first place where it is not.
pub fn parse(text: &str, source: &Source) -> Result<Config, ConfigErrors> {
    let document = Document::new(text);
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            return Err(ConfigErrors::new(
                source,
                vec![syntax_mistake(&document, &error, text)],
            ));
        }
    };
    if table.keys().any(|key| key.get_ref() == "DEFAULT")
        && let Some(message) = ini::recognise(text)
    {
        return Err(ConfigErrors::new(source, vec![whole_text(message)]));
    }
    let mut config = read(document.root(&table));
    let findings = document.into_findings();
    if !findings.mistakes.is_empty() {
        return Err(ConfigErrors::new(source, findings.mistakes));
    }
    config.redactor = findings.redactor;
    config.warnings = findings
        .warnings
        .iter()
        .map(|warning| warning.in_source(source))
        .collect();
    Ok(config)
}

fn read(mut root: Section<'_>) -> Config {
    let names = exporter::Names::read(&mut root);
    let state_dir =
        take_path(&mut root, "state_dir").unwrap_or_else(|| "/var/lib/delfin-host".into());
    let config = Config {
        plugin_dirs: take_plugin_dirs(&mut root),
        plugin_cache_dir: take_path(&mut root, "plugin_cache_dir")
            .unwrap_or_else(|| state_dir.join("plugin-cache")),
        state_dir,
        log: service::read_log(root.take_section("log"), &names),
        api: service::read_api(root.take_section("api")),
        journal: service::read_journal(root.take_section("journal")),
        alerts: service::read_alerts(root.take_section("alerts")),
        shutdown: service::read_shutdown(root.take_section("shutdown")),
        storages: storage::read(&mut root),
        exporters: exporter::read(root.take_section("exporter"), names),
        redactor: Redactor::default(),
        warnings: Vec::new(),
    };
    root.finish();
    config
}

fn take_path(root: &mut Section<'_>, key: &'static str) -> Option<PathBuf> {
    root.take_text(key).map(|text| text.value.into())
}

fn take_plugin_dirs(root: &mut Section<'_>) -> Vec<PathBuf> {
    let Some(item) = root.take("plugin_dirs") else {
        return vec!["/usr/local/lib/delfin-host/plugins".into()];
    };
    let mut dirs: Vec<PathBuf> = Vec::new();
    for text in item.texts().unwrap_or_default() {
        let dir = PathBuf::from(text.value);
        if dir.as_os_str().is_empty() {
            item.fail("`` is empty (name a directory)".to_owned());
        } else if dirs.contains(&dir) {
            item.fail(format!("`{}` is named twice (name it once)", text.shown));
        }
        dirs.push(dir);
    }
    dirs
}

fn syntax_mistake(document: &Document<'_>, error: &toml::de::Error, text: &str) -> Mistake {
    if let Some(message) = ini::recognise(text) {
        return whole_text(message);
    }
    let (line, column) = document.position(error.span().map_or(0, |span| span.start));
    let message = match text.lines().nth(line - 1).and_then(ini::quote_list) {
        Some(quoted) => format!("names need quotes (write `{quoted}`)"),
        None => plainly(error.message()),
    };
    Mistake {
        line: Some(line),
        key: String::new(),
        message: format!("column {column}: not TOML: {message}"),
    }
}

/// A word without quotes is taken for a broken number, and what the rest of
/// such a number could be is no help.
fn plainly(message: &str) -> String {
    match message.split_once(", expected ") {
        Some((wrong, _)) if wrong.starts_with("invalid ") => format!("{wrong} (text needs quotes)"),
        Some(("string values must be quoted", _)) => "text needs quotes".to_owned(),
        _ => message.to_owned(),
    }
}

fn whole_text(message: String) -> Mistake {
    Mistake {
        line: None,
        key: String::new(),
        message,
    }
}
