//! `try`: runs one plugin in a process of its own, and sends it one batch.
//!
//! Promises: nothing that the plugin does ends the command before it has printed its
//! report.

mod batch;
mod calls;
mod report;

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use delfin_plugin_loader::{Inspection, ManifestExporter, OpenOptions, check, inspect, prepare};
use serde_json::{Map, Value};

use super::{error::Error, output::Output};
use crate::{
    config::{LogConfig, ProcessLimits},
    logging,
    plugin::{
        Call, CurrentProcess, Instance, InstanceHost, InstanceSettings, InstanceSource,
        PluginCounters, PluginLevel, ProcessRole, ProcessSource, SharedRedactor,
    },
};
use calls::TriedInstance;
use report::{TryOutcome, TryReport};

#[derive(Debug, clap::Args)]
pub struct TryArgs {
    /// Plugin file
    #[arg(value_name = "FILE")]
    pub plugin: PathBuf,

    /// Exporter of the plugin [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub exporter: Option<String>,

    /// Setting of the exporter, with a value as in TOML (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_setting)]
    pub set: Vec<(String, Value)>,

    /// File with a batch, as for `push` [default: a generated batch]
    #[arg(long, value_name = "FILE")]
    pub batch: Option<PathBuf>,

    /// Number of series or alerts to generate
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        conflicts_with = "batch"
    )]
    pub rows: usize,

    /// Deadline of each call
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,

    /// Least severe level of the log records that are shown
    #[arg(long, value_name = "LEVEL", default_value = "debug", value_parser = level_parser())]
    pub log: log::LevelFilter,
}

/// Why the test failed.
#[derive(Debug, thiserror::Error)]
enum TryError {
    /// The plugin has several exporters, or does not have the chosen one.
    #[error("plugin `{plugin}` has the exporters {offered} (choose one with --exporter)")]
    Exporter { plugin: String, offered: String },
    #[error(
        "exporter `{exporter}` is for `{kind}` batches, which this host does not have (use a \
         newer host)"
    )]
    Kind { exporter: String, kind: String },
    #[error("{call}: {reason}")]
    Call { call: &'static str, reason: String },
}

impl From<TryError> for Error {
    fn from(error: TryError) -> Self {
        Self::failed(error)
    }
}

pub(super) fn run(args: &TryArgs, output: &mut Output<'_>) -> Result<(), Error> {
    logging::start(&LogConfig {
        level: args.log,
        ..LogConfig::default()
    });
    let tried = try_plugin(args);
    logging::flush();
    let report = tried?;
    if output.is_json() {
        output.json(&report)?;
    } else {
        output.text(&report.text())?;
    }
    match report.outcome.message {
        None => Ok(()),
        Some(reason) => {
            let call = report.outcome.call;
            Err(TryError::Call { call, reason }.into())
        }
    }
}

fn try_plugin(args: &TryArgs) -> Result<TryReport, Error> {
    let plugin = inspect(&args.plugin)?;
    check(&plugin)?;
    let exporter = choose(&plugin, args.exporter.as_deref())?;
    let request = Arc::new(batch::request(args, exporter)?);
    let folder = tempfile::tempdir().map_err(Error::failed)?;
    let options = OpenOptions::new(folder.path().join("plugin-cache"));
    let source = InstanceSource::Process(Arc::new(ProcessSource {
        plugin: prepare(&plugin, &options)?,
        role: ProcessRole::Exporter,
        limits: ProcessLimits::default(),
        timeout: args.timeout,
    }));
    let counters = PluginCounters::default();
    let host = InstanceHost {
        key: "exporter",
        exporter: exporter.name.clone(),
        state_dir: folder.path().display().to_string(),
        level: PluginLevel::Fixed(args.log),
        redactor: SharedRedactor::default(),
        counters: counters.clone(),
        process: CurrentProcess::default(),
    };
    let settings = InstanceSettings {
        exporter: exporter.name.clone(),
        config: args.set.iter().cloned().collect(),
    };
    let instance = Instance::start(&source, host).map_err(Error::failed)?;
    let mut instance = TriedInstance::new(instance, args.timeout);
    let create = instance.call("create", Call::Create(settings));
    let (rows, items) = (request.arrow.num_rows() as u64, request.items);
    let export = create.and_then(|_| instance.call("export", Call::Export(request, 1)));
    if export.is_some() {
        instance.call("flush", Call::Flush);
    }
    if create.is_some() && instance.is_alive() {
        instance.call("close", Call::Close);
    }
    let failed = instance.end();
    let export_seconds = export.map(|took| took.as_secs_f64());
    Ok(TryReport {
        exporter: exporter.name.clone(),
        kind: exporter.kind.clone(),
        plugin: plugin.manifest.plugin.clone(),
        version: plugin.manifest.version.clone(),
        create_seconds: create.map(|took| took.as_secs_f64()),
        rows,
        items,
        outcome: failed.map_or_else(TryOutcome::delivered, TryOutcome::from),
        export_seconds,
        items_per_second: export_seconds.map(|seconds| items as f64 / seconds),
        counters: counters.values().into_iter().collect(),
    })
}

fn choose<'a>(
    plugin: &'a Inspection,
    name: Option<&str>,
) -> Result<&'a ManifestExporter, TryError> {
    let exporters = &plugin.manifest.exporters;
    let chosen = match (name, &exporters[..]) {
        (Some(name), _) => exporters.iter().find(|exporter| exporter.name == name),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    chosen.ok_or_else(|| {
        let names: Vec<String> = exporters.iter().map(|e| format!("`{}`", e.name)).collect();
        TryError::Exporter {
            plugin: plugin.library().into_owned(),
            offered: names.join(", "),
        }
    })
}

fn level_parser() -> impl TypedValueParser<Value = log::LevelFilter> {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    PossibleValuesParser::new(levels).try_map(|level| level.parse::<log::LevelFilter>())
}

/// Reads `KEY=VALUE`, the value as in TOML. A value that is not valid TOML is a text.
pub(super) fn parse_setting(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    let parsed = toml::from_str::<Map<String, Value>>(&format!("value = {value}"));
    let value = parsed.ok().and_then(|mut table| table.remove("value"));
    Ok((
        key.trim().to_owned(),
        value.unwrap_or_else(|| text[key.len() + 1..].into()),
    ))
}
