//! `check`: would `run --strict` start?
//!
//! Goes through the configuration, the plugins, and an instance of each
//! exporter, which is closed again. Sends nothing, and leaves nothing behind but
//! what an exporter makes as soon as it starts: its file, say.

use std::path::Path;

use serde::Serialize;

use super::{Error, Global, Output, settings};
use crate::{
    collect::DriverRegistry,
    config::{Config, ExporterConfig, StorageConfig},
    journal, logging,
    plugin::{self, InstanceHost, PluginCounters, Plugins},
};

/// What `check` understands.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {}

/// What was found out about one thing.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Some of what was checked is not well.
#[derive(Debug, thiserror::Error)]
#[error("{failed} of {all} checks failed")]
struct ChecksFailed {
    failed: usize,
    all: usize,
}

pub(super) fn run(global: &Global, _: &CheckArgs, output: &mut Output<'_>) -> Result<(), Error> {
    settings::keep_files_private();
    let loaded = settings::load(global)?;
    if !output.json() {
        output.line(&format!("ok      configuration {}", loaded.source))?;
    }
    for warning in &loaded.config.warnings {
        output.warn(warning);
    }
    all(&loaded.config, output)
}

/// Checks all that a configuration names, and prints what came of it.
///
/// # Errors
///
/// Something would not start.
pub(super) fn all(config: &Config, output: &mut Output<'_>) -> Result<(), Error> {
    logging::start(&config.log);
    let findings = findings(config, output)?;
    logging::flush();
    if output.json() {
        output.value(&findings)?;
    } else {
        for finding in &findings {
            output.line(&finding.line())?;
        }
    }
    let failed = findings.iter().filter(|finding| !finding.ok).count();
    if failed == 0 {
        return Ok(());
    }
    let failed = ChecksFailed {
        failed,
        all: findings.len(),
    };
    Err(Error::Configuration(failed.into()))
}

fn findings(config: &Config, output: &Output<'_>) -> Result<Vec<Finding>, Error> {
    let folder = tempfile::tempdir()?;
    let mut scratch = config.clone();
    scratch.plugin_cache_dir = folder.path().join("plugin-cache");
    let mut plugins = Plugins::find(&scratch);
    for remark in plugins.remarks() {
        output.warn(&remark);
    }
    let holder = journal::holder(&config.state_dir);
    if let Some(pid) = &holder {
        output.warn(&format!(
            "host {pid} runs on this `state_dir`, so exporters were only looked up, not started \
             (stop it to check their settings too)"
        ));
    }
    let mut findings: Vec<Finding> = config.storages.iter().map(storage).collect();
    for exporter in &config.exporters {
        let what = format!(
            "exporter {} ({}, {})",
            exporter.name, exporter.plugin, exporter.kind
        );
        let result = plugins.offer(exporter).and_then(|offered| {
            if holder.is_some() {
                return Ok(());
            }
            plugin::try_instance(
                &offered,
                exporter,
                instance_host(config, exporter, folder.path()),
            )
        });
        let result = result.map_err(|error| config.redactor.redact(&error).into_owned());
        findings.push(Finding::of(what, result));
    }
    Ok(findings)
}

fn storage(storage: &StorageConfig) -> Finding {
    let what = format!(
        "storage {} ({}, {})",
        storage.name, storage.vendor, storage.model
    );
    let driver = DriverRegistry::default()
        .factory(&storage.vendor, &storage.model)
        .map(drop);
    Finding::of(what, driver.map_err(|error| error.to_string()))
}

fn instance_host(config: &Config, exporter: &ExporterConfig, folder: &Path) -> InstanceHost {
    InstanceHost {
        exporter: exporter.name.clone(),
        state_dir: folder.display().to_string(),
        level: logging::exporter_level(&exporter.name),
        redactor: config.redactor.clone(),
        counters: PluginCounters::default(),
    }
}

impl Finding {
    fn of(what: String, result: Result<(), String>) -> Self {
        Self {
            what,
            ok: result.is_ok(),
            reason: result.err(),
        }
    }

    fn line(&self) -> String {
        match &self.reason {
            None => format!("ok      {}", self.what),
            Some(reason) => format!("failed  {}: {reason}", self.what),
        }
    }
}
