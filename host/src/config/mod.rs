//! The configuration: found, read and checked as a whole.
//!
//! The result is a complete and valid [`Config`], or a list of all mistakes. A bad
//! value is never replaced by a default, an unknown key is a mistake, and no
//! message contains the value of a placeholder.
//!
//! Knows nothing of plugins, drivers or sockets.

mod api;
mod cluster;
mod collection;
mod delivery;
mod drivers;
mod exporter;
mod filter;
mod find;
mod host_address;
mod ini;
mod inputs;
mod kafka;
mod listeners;
mod metrics;
mod mistake;
mod names;
mod parts;
mod permissions;
mod placeholder;
mod read;
mod secrets;
mod service;
mod setting;
mod shown;
mod source;
mod storage;
mod syslog;
#[cfg(test)]
mod tests;
mod text_file;

use std::path::{Path, PathBuf};

use delfin_plugin_api::{Failure, redact::Redactor};

pub(crate) use names::name_error;

use crate::{
    access::{TokenDatabase, TokenFile, TokenPlace},
    platform::{OWN_VENDOR, plugin_folder, state_folder},
};

pub use api::{ApiConfig, SocketConfig};
pub use cluster::ClusterConfig;
pub use collection::CollectionConfig;

pub use delivery::{
    BatchConfig, DeadLetterConfig, DeliveryOrder, OnFull, OnOverflow, OnUncertain, QueueConfig,
    RetryConfig,
};
pub use drivers::DriverLimits;
pub use exporter::{ExporterConfig, Isolation, ProcessLimits};
pub use filter::{Filter, matches_pattern};
pub use find::{LoadError, system_path};
pub use host_address::{HostAddress, HostName};
pub use ini::from_delfin;
pub use inputs::{AlertmanagerConfig, InputsConfig, SeriesInputConfig, WebhookConfig};
pub use metrics::{HostMetricsConfig, OtlpPushConfig};
pub use mistake::{ConfigErrors, Mistake};
pub use secrets::{RenewedSettings, SecretSettings};
pub use service::{
    AlertsConfig, InventoryConfig, JournalConfig, LogConfig, LogFileConfig, LogFormat,
    MemoryConfig, ShutdownConfig, TrapsConfig,
};
pub use source::Source;
pub use storage::StorageConfig;
pub use syslog::{SyslogConfig, SyslogSeverity};

use find::ConfigText;
use names::ExporterNames;
use parts::{ConfigParts, KeyConflict, SyntaxError};
use read::{Findings, Section, TomlDocument};

/// A checked configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub plugin_dirs: Vec<PathBuf>,
    /// Where the host copies plugins before it opens them.
    pub plugin_cache_dir: PathBuf,
    pub state_dir: PathBuf,
    /// `None`: this host alone uses the state folder.
    pub cluster: Option<ClusterConfig>,
    pub log: LogConfig,
    pub api: ApiConfig,
    pub metrics: HostMetricsConfig,
    pub memory: MemoryConfig,
    pub journal: JournalConfig,
    pub alerts: AlertsConfig,
    pub inventory: InventoryConfig,
    pub traps: TrapsConfig,
    pub syslog: SyslogConfig,
    pub inputs: InputsConfig,
    pub collection: CollectionConfig,
    pub shutdown: ShutdownConfig,
    /// Limits of each process of a driver that is a plugin.
    pub driver_limits: DriverLimits,
    /// In the order of the file.
    pub storages: Vec<StorageConfig>,
    /// In the order of the lists, exporters of performance first.
    pub exporters: Vec<ExporterConfig>,
    /// Replaces the values of placeholders by the placeholders.
    pub(crate) redactor: Redactor,
    /// One line each, with its position in the file.
    pub warnings: Vec<String>,
}

/// A configuration, and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub source: Source,
    /// The settings of the file, without secrets.
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// Finds the configuration, reads and checks it.
///
/// # Errors
///
/// A named file is missing, a file cannot be read, or the text has mistakes.
pub fn load(explicit: Option<&Path>) -> Result<Loaded, LoadError> {
    let found = find::find(explicit)?;
    let parts = found.parts();
    let mut config = parse_parts(&parts)?;
    config.warnings.extend(trusted(&found)?);
    let settings = shown::shown(parts.texts());
    let source = found.source;
    Ok(Loaded {
        config,
        source,
        settings,
    })
}

/// Checks who can write and read the files. Returns the warnings.
fn trusted(found: &ConfigText) -> Result<Vec<String>, LoadError> {
    let untrusted = |source: &Source, reason| LoadError::Untrusted {
        file: source.clone(),
        reason,
    };
    if let Some(folder) = found.folder() {
        let checked = permissions::check_folder(&folder);
        checked.map_err(|reason| untrusted(&Source::Further(folder), reason))?;
    }
    let main = found
        .file
        .iter()
        .map(|file| (&found.source, file, &found.text));
    let further = found.further.iter();
    let further = further.map(|one| (&one.source, &one.file, &one.text));
    let mut warnings = Vec::new();
    for (source, file, text) in main.chain(further) {
        let of_file = permissions::check(file, text).map_err(|reason| untrusted(source, reason))?;
        warnings.extend(of_file.iter().map(|warning| format!("{source}: {warning}")));
    }
    Ok(warnings)
}

/// The configuration for production, with the folders of this system if no others are given.
#[must_use]
pub fn sample(plugin_dir: Option<&Path>, state_dir: Option<&Path>) -> String {
    let quoted = |path: &Path| toml::Value::from(path.display().to_string()).to_string();
    let plugin_dir = plugin_dir.map_or_else(plugin_folder, Path::to_owned);
    let state_dir = state_dir.map_or_else(state_folder, Path::to_owned);
    let line = |line: &str| match line.split_once(" = ") {
        Some(("plugin_dirs", _)) => format!("plugin_dirs = [{}]\n", quoted(&plugin_dir)),
        Some(("state_dir", _)) => format!("state_dir = {}\n", quoted(&state_dir)),
        Some(("vendor", _)) => format!("vendor = \"{}\"\n", OWN_VENDOR.unwrap_or_default()),
        _ => format!("{line}\n"),
    };
    let paragraphs = find::EMBEDDED.split_inclusive("\n\n");
    let known = paragraphs.filter(|text| OWN_VENDOR.is_some() || !text.contains("[[storage]]"));
    known.flat_map(str::lines).map(line).collect()
}

/// Where plugins are.
#[derive(Debug)]
pub struct PluginFolders {
    pub plugin_dirs: Vec<PathBuf>,
    pub plugin_cache_dir: PathBuf,
}

/// Reads [`PluginFolders`] only: other mistakes and missing secrets do not matter.
///
/// # Errors
///
/// As [`load`], but only mistakes of these keys.
pub fn load_plugin_folders(explicit: Option<&Path>) -> Result<PluginFolders, LoadError> {
    load_part(explicit, |root| {
        let state_dir = take_state_dir(root);
        take_plugin_folders(root, &state_dir)
    })
}

/// Reads `[api]` and `state_dir` only: other mistakes and missing secrets do not matter.
///
/// # Errors
///
/// As [`load`], but only mistakes of `[api]`.
pub fn load_api(explicit: Option<&Path>) -> Result<ApiConfig, LoadError> {
    // A client may not be able to see the tokens of the host.
    load_part(explicit, |root| {
        let state_dir = take_state_dir(root);
        api::read_api(root.take_section("api"), &state_dir, || true)
    })
}

/// What commands need that work on the state.
#[derive(Debug)]
pub struct StateSettings {
    pub state_dir: PathBuf,
    /// Whether the hosts of a cluster have their state in its database.
    pub has_state_in_database: bool,
    /// `inventory.key_file`.
    pub key_file: Option<PathBuf>,
    /// `log.audit_file`.
    pub audit_file: Option<PathBuf>,
}

/// What commands need that work on the tokens of the API.
#[derive(Debug)]
pub struct TokenSettings {
    state_dir: PathBuf,
    /// `None`: the tokens are in the state folder.
    cluster: Option<ClusterConfig>,
    /// `log.audit_file`.
    pub audit_file: Option<PathBuf>,
}

impl TokenSettings {
    /// # Errors
    ///
    /// A file of a certificate of the database cannot be used.
    pub fn tokens(&self) -> Result<TokenPlace, Failure> {
        token_place(self.cluster.as_ref(), &self.state_dir)
    }
}

impl Config {
    /// # Errors
    ///
    /// A file of a certificate of the database cannot be used.
    pub fn tokens(&self) -> Result<TokenPlace, Failure> {
        token_place(self.cluster.as_ref(), &self.state_dir)
    }
}

/// Where the tokens of the API are.
fn token_place(cluster: Option<&ClusterConfig>, state_dir: &Path) -> Result<TokenPlace, Failure> {
    Ok(
        match cluster.filter(|cluster| cluster.has_state_in_database()) {
            Some(cluster) => {
                TokenPlace::Database(TokenDatabase::new(cluster.database()?, &cluster.name))
            }
            None => TokenPlace::File(TokenFile::new(state_dir)),
        },
    )
}

/// Reads [`StateSettings`] only: other mistakes and missing secrets do not matter.
///
/// # Errors
///
/// As [`load`], but only mistakes of these keys.
pub fn load_state_settings(explicit: Option<&Path>) -> Result<StateSettings, LoadError> {
    load_part(explicit, |root| StateSettings {
        state_dir: take_state_dir(root),
        has_state_in_database: names_kafka(root),
        key_file: service::read_inventory(root.take_section("inventory"), false).key_file,
        audit_file: take_path(&mut root.take_section("log"), "audit_file"),
    })
}

/// Reads [`TokenSettings`] only, and `[cluster]` if the tokens are in its database: other mistakes and missing secrets do not
/// matter.
///
/// # Errors
///
/// As [`load`], but only mistakes of these keys.
pub fn load_token_settings(explicit: Option<&Path>) -> Result<TokenSettings, LoadError> {
    load_part(explicit, |root| TokenSettings {
        state_dir: take_state_dir(root),
        cluster: names_kafka(root).then(|| take_cluster(root)).flatten(),
        audit_file: take_path(&mut root.take_section("log"), "audit_file"),
    })
}

/// Reads `[traps]` only: other mistakes and missing secrets do not matter.
///
/// # Errors
///
/// As [`load`], but only mistakes of `[traps]`.
pub fn load_traps(explicit: Option<&Path>) -> Result<TrapsConfig, LoadError> {
    load_part(explicit, |root| {
        service::read_traps(root.take_section("traps"))
    })
}

/// Reads `[syslog]` only: other mistakes and missing secrets do not matter.
///
/// # Errors
///
/// As [`load`], but only mistakes of `[syslog]`.
pub fn load_syslog(explicit: Option<&Path>) -> Result<SyslogConfig, LoadError> {
    load_part(explicit, |root| {
        syslog::read_syslog(root.take_section("syslog"))
    })
}

/// Reads `[inputs]` only: other mistakes and missing secrets do not matter.
///
/// # Errors
///
/// As [`load`], but only mistakes of `[inputs]`.
pub fn load_inputs(explicit: Option<&Path>) -> Result<InputsConfig, LoadError> {
    load_part(explicit, |root| {
        inputs::read_inputs(root.take_section("inputs"))
    })
}

fn load_part<T>(
    explicit: Option<&Path>,
    take: impl FnOnce(&mut Section<'_>) -> T,
) -> Result<T, LoadError> {
    let parts = find::find(explicit)?.parts();
    let (part, _) = read_document(&parts, |mut root| take(&mut root))?;
    Ok(part)
}

/// Reads and checks the text of a configuration.
///
/// # Errors
///
/// All mistakes of the text. For a text that is not TOML, the first place where
/// it is not.
pub fn parse(text: &str, source: &Source) -> Result<Config, ConfigErrors> {
    parse_parts(&ConfigParts::new([(source.to_string(), text)]))
}

fn parse_parts(parts: &ConfigParts) -> Result<Config, ConfigErrors> {
    let (mut config, findings) = read_document(parts, read)?;
    config.redactor = findings.redactor;
    config.warnings = findings
        .warnings
        .iter()
        .map(|warning| warning.in_files(parts.files()))
        .collect();
    Ok(config)
}

/// Parses a document and reads what `read` takes from it, unless there is a mistake.
fn read_document<T>(
    parts: &ConfigParts,
    read: impl FnOnce(Section<'_>) -> T,
) -> Result<(T, Findings), ConfigErrors> {
    let text = parts.text();
    let document = TomlDocument::new(text);
    let failed = |mistakes| ConfigErrors::new(parts.files(), mistakes);
    let (table, conflicts) = parts
        .parse()
        .map_err(|error| failed(vec![syntax_mistake(&document, &error, text)]))?;
    for KeyConflict {
        path,
        first,
        second,
    } in conflicts
    {
        let line = |at| Some(document.position(at).0);
        let first = parts.files().place(line(first));
        let message = format!("is set in `{first}` too (remove one of them)");
        document.fail(line(second), &path, message);
    }
    if table.keys().any(|key| key.get_ref() == "DEFAULT")
        && let Some(message) = ini::recognise(text)
    {
        return Err(failed(vec![whole_text(message)]));
    }
    let part = read(document.root(&table));
    let findings = document.into_findings();
    if findings.mistakes.is_empty() {
        Ok((part, findings))
    } else {
        Err(failed(findings.mistakes))
    }
}

fn read(mut root: Section<'_>) -> Config {
    let names = ExporterNames::read(&mut root);
    let state_dir = take_state_dir(&mut root);
    let cluster = take_cluster(&mut root);
    let is_in_database = cluster
        .as_ref()
        .is_some_and(ClusterConfig::has_state_in_database);
    // Without the database it is not known whether a cluster has tokens.
    let has_tokens = || is_in_database || TokenFile::new(&state_dir).may_exist();
    let PluginFolders {
        plugin_dirs,
        plugin_cache_dir,
    } = take_plugin_folders(&mut root, &state_dir);
    let log = service::read_log(root.take_section("log"), &names);
    let api = api::read_api(root.take_section("api"), &state_dir, has_tokens);
    let metrics = metrics::read_metrics(
        root.take_section("metrics"),
        api.allow_unauthenticated,
        has_tokens,
    );
    let config = Config {
        plugin_dirs,
        plugin_cache_dir,
        state_dir: state_dir.clone(),
        cluster,
        log,
        api,
        metrics,
        memory: service::read_memory(root.take_section("memory")),
        journal: service::read_journal(root.take_section("journal")),
        alerts: service::read_alerts(root.take_section("alerts")),
        inventory: service::read_inventory(root.take_section("inventory"), is_in_database),
        traps: service::read_traps(root.take_section("traps")),
        syslog: syslog::read_syslog(root.take_section("syslog")),
        inputs: inputs::read_inputs(root.take_section("inputs")),
        collection: collection::read_collection(root.take_section("collection")),
        shutdown: service::read_shutdown(root.take_section("shutdown")),
        driver_limits: drivers::read_driver_limits(root.take_section("drivers")),
        storages: storage::read_storages(&mut root),
        exporters: exporter::read_exporters(root.take_section("exporter"), &names),
        redactor: Redactor::default(),
        warnings: Vec::new(),
    };
    listeners::refuse_shared_addresses(&mut root, &config);
    root.finish();
    config
}

fn take_cluster(root: &mut Section<'_>) -> Option<ClusterConfig> {
    let setting = root.take("cluster")?;
    cluster::read_cluster(&setting)
}

/// Whether the document has a table `[cluster.kafka]`.
fn names_kafka(root: &mut Section<'_>) -> bool {
    root.take_section("cluster").take("kafka").is_some()
}

fn take_state_dir(root: &mut Section<'_>) -> PathBuf {
    take_path(root, "state_dir").unwrap_or_else(state_folder)
}

fn take_path(root: &mut Section<'_>, key: &'static str) -> Option<PathBuf> {
    root.take_text(key).map(|text| text.value.into())
}

fn take_plugin_folders(root: &mut Section<'_>, state_dir: &Path) -> PluginFolders {
    let plugin_dirs = take_plugin_dirs(root);
    let cache_dir = take_path(root, "plugin_cache_dir");
    PluginFolders {
        plugin_dirs,
        plugin_cache_dir: cache_dir.unwrap_or_else(|| state_dir.join("plugin-cache")),
    }
}

fn take_plugin_dirs(root: &mut Section<'_>) -> Vec<PathBuf> {
    let Some(setting) = root.take("plugin_dirs") else {
        return vec![plugin_folder()];
    };
    let mut dirs: Vec<PathBuf> = Vec::new();
    for text in setting.texts().unwrap_or_default() {
        let dir = PathBuf::from(text.value);
        if dir.as_os_str().is_empty() {
            setting.fail("`` is empty (write the path of a directory)".to_owned());
        } else if dirs.contains(&dir) {
            setting.fail(format!("`{}` appears twice (remove one)", text.shown));
        }
        dirs.push(dir);
    }
    dirs
}

fn syntax_mistake(document: &TomlDocument<'_>, found: &SyntaxError, text: &str) -> Mistake {
    if let Some(message) = ini::recognise(text) {
        return whole_text(message);
    }
    let (line, column) = document.position(found.at);
    // Delfin's list of names without quotes is the most common mistake, and TOML's
    // message for it is misleading.
    let message = match text.lines().nth(line - 1).and_then(ini::quote_list) {
        Some(quoted) => format!("names need quotes (write `{quoted}`)"),
        None => simplify(found.error.message()),
    };
    Mistake {
        line: Some(line),
        key: String::new(),
        message: format!("column {column}: invalid TOML: {message}"),
    }
}

/// Replaces what the TOML parser expected by the likely remedy. The parser takes a
/// word without quotes for a number, and lists what could follow in a number.
fn simplify(message: &str) -> String {
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
