//! `try`: loads one plugin and sends it one batch.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use delfin_plugin_api::{Batch, Kind, Origin, redact::Redactor, sample};
use delfin_plugin_loader::{Inspection, ManifestExporter, OpenOptions, check, inspect, open};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{error::Error, output::Output, push, table::grouped};
use crate::{
    batch::Header,
    clock::now_ms,
    config::{LogConfig, LogFormat},
    logging,
    plugin::{
        Call, ExportRequest, Instance, InstanceHost, InstanceSource, PluginCounters, RequestPart,
        wait_for,
    },
};

/// Points of each generated series.
const POINTS: usize = 10;

#[derive(Debug, clap::Args)]
pub struct TryArgs {
    /// Plugin file
    #[arg(value_name = "FILE.so")]
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
    /// `step` is the call that failed.
    #[error("{step}: {reason}")]
    Call { step: &'static str, reason: String },
}

impl From<TryError> for Error {
    fn from(error: TryError) -> Self {
        Self::failed(error)
    }
}

#[derive(Debug, Serialize)]
struct TryReport {
    exporter: String,
    kind: String,
    plugin: String,
    version: String,
    open_seconds: f64,
    create_seconds: f64,
    rows: u64,
    items: u64,
    outcome: String,
    export_seconds: f64,
    items_per_second: f64,
    counters: BTreeMap<String, u64>,
}

pub(super) fn run(args: &TryArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let level = log::LevelFilter::Debug;
    logging::start(&LogConfig {
        level,
        format: LogFormat::Text,
        levels: BTreeMap::new(),
    });
    let result = try_plugin(args);
    logging::flush();
    let report = result?;
    if output.is_json() {
        return output.json(&report);
    }
    output.text(&report.text())
}

fn try_plugin(args: &TryArgs) -> Result<TryReport, Error> {
    let plugin = inspect(&args.plugin)?;
    check(&plugin)?;
    let exporter = choose(&plugin, args.exporter.as_deref())?;
    let batch = Arc::new(batch(args, exporter)?);
    let folder = tempfile::tempdir().map_err(Error::failed)?;
    let started = Instant::now();
    let opened = open(
        &plugin,
        &OpenOptions::new(folder.path().join("plugin-cache")),
    )?;
    let open_seconds = started.elapsed().as_secs_f64();
    let counters = PluginCounters::default();
    let host = InstanceHost {
        exporter: exporter.name.clone(),
        state_dir: folder.path().display().to_string(),
        level: log::LevelFilter::Debug,
        redactor: Redactor::default(),
        counters: counters.clone(),
    };
    let settings: Map<String, Value> = args.set.iter().cloned().collect();
    let source = InstanceSource::Library(opened.module());
    let (instance, created) =
        Instance::create(&source, &exporter.name, &settings, host).map_err(Error::failed)?;
    let create_seconds = step("create", created, args.timeout)?;
    let call = |name, call| {
        let reply = instance.call(call, Instant::now() + args.timeout);
        step(name, reply, args.timeout)
    };
    let export_seconds = call("export", Call::Export(Arc::clone(&batch), 1))?;
    call("flush", Call::Flush)?;
    call("close", Call::Close)?;
    Ok(TryReport {
        exporter: exporter.name.clone(),
        kind: exporter.kind.clone(),
        plugin: plugin.manifest.plugin.clone(),
        version: plugin.manifest.version.clone(),
        open_seconds,
        create_seconds,
        rows: batch.arrow.num_rows() as u64,
        items: batch.items,
        outcome: "delivered".to_owned(),
        export_seconds,
        items_per_second: batch.items as f64 / export_seconds,
        counters: counters.values().into_iter().collect(),
    })
}

/// Waits for the end of a call, and returns how long the call took.
fn step(
    step: &'static str,
    reply: crate::plugin::Reply,
    timeout: Duration,
) -> Result<f64, TryError> {
    let failed = |reason| TryError::Call { step, reason };
    match wait_for(reply, Instant::now() + timeout) {
        Ok(took) => Ok(took.as_secs_f64()),
        Err(Some(failure)) => Err(failed(failure.to_string())),
        Err(None) => {
            let timeout = humantime::format_duration(timeout);
            Err(failed(format!(
                "no result within {timeout} (see --timeout)"
            )))
        }
    }
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

fn batch(args: &TryArgs, exporter: &ManifestExporter) -> Result<ExportRequest, Error> {
    let kind = match &*exporter.kind {
        "performance" => Kind::Performance,
        "alert" => Kind::Alert,
        _ => {
            let (exporter, kind) = (exporter.name.clone(), exporter.kind.clone());
            return Err(TryError::Kind { exporter, kind }.into());
        }
    };
    let (arrow, items) = match &args.batch {
        Some(path) => {
            let batch = push::read(kind, path)?;
            (batch.as_arrow().clone(), batch.items())
        }
        None if kind == Kind::Performance => {
            let batch = sample::performance(args.rows, POINTS);
            (batch.as_arrow().clone(), batch.items())
        }
        None => {
            let batch = sample::alerts(args.rows);
            (batch.as_arrow().clone(), batch.items())
        }
    };
    let rows = arrow.num_rows() as u64;
    Ok(ExportRequest {
        arrow,
        items,
        origin: Origin::Ingest,
        parts: vec![RequestPart {
            header: Header {
                batch_id: Uuid::now_v7(),
                origin: Origin::Ingest,
                storage_id: None,
                complete: false,
                accepted_ms: now_ms(),
                items,
            },
            first_row: 0,
            rows,
        }],
    })
}

impl TryReport {
    fn text(&self) -> String {
        let millis = |seconds: f64| format!("{:.3} ms", seconds * 1e3);
        let mut text = format!(
            "exporter  {} ({}) of {} {}\nopened    in {}\ncreated   in {}\nbatch     {} rows, {} items\n\
             outcome   {}, in {} ({} items/s)\n",
            self.exporter,
            self.kind,
            self.plugin,
            self.version,
            millis(self.open_seconds),
            millis(self.create_seconds),
            grouped(self.rows),
            grouped(self.items),
            self.outcome,
            millis(self.export_seconds),
            grouped(self.items_per_second as u64),
        );
        for (counter, value) in &self.counters {
            text += &format!("counted   {counter} {}\n", grouped(*value));
        }
        text
    }
}

/// Reads `KEY=VALUE`, the value as in TOML. A value that is not valid TOML is a text.
fn parse_setting(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    let parsed = toml::from_str::<Map<String, Value>>(&format!("value = {value}"));
    let value = parsed.ok().and_then(|mut table| table.remove("value"));
    Ok((
        key.trim().to_owned(),
        value.unwrap_or_else(|| text[key.len() + 1..].into()),
    ))
}
