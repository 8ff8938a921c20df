//! `check`: tests whether `run --strict` would start.
//!
//! Reads the configuration, finds the plugins, and creates and closes an instance of
//! each exporter. Sends nothing. Leaves only what an exporter creates when it
//! starts, such as its file.

use std::path::Path;

use serde::Serialize;

use super::{
    error::Error,
    options::{GlobalOptions, keep_files_private},
    output::Output,
};
use crate::{
    collect::DriverRegistry,
    config::{Config, ExporterConfig, StorageConfig},
    journal, logging,
    plugin::{self, InstanceHost, Plugins},
};

#[derive(Debug, clap::Args)]
pub struct CheckArgs {}

/// The result of one check.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("{failed} of {all} checks failed")]
struct ChecksFailed {
    failed: usize,
    all: usize,
}

pub(super) fn run(options: &GlobalOptions, output: &mut Output<'_>) -> Result<(), Error> {
    keep_files_private();
    let loaded = options.load_config()?;
    if !output.is_json() {
        output.line(&format!("ok      configuration {}", loaded.source))?;
    }
    for warning in &loaded.config.warnings {
        output.warn(warning);
    }
    check_all(&loaded.config, output)
}

/// Checks the storages and exporters of a configuration, and prints the results.
///
/// # Errors
///
/// A storage or an exporter cannot start.
pub(super) fn check_all(config: &Config, output: &mut Output<'_>) -> Result<(), Error> {
    logging::start(&config.log);
    let findings = findings(config, output)?;
    logging::flush();
    if output.is_json() {
        output.json(&findings)?;
    } else {
        for finding in &findings {
            output.line(&finding.line())?;
        }
    }
    let failed = findings.iter().filter(|finding| !finding.ok).count();
    if failed == 0 {
        return Ok(());
    }
    Err(Error::configuration(ChecksFailed {
        failed,
        all: findings.len(),
    }))
}

fn findings(config: &Config, output: &Output<'_>) -> Result<Vec<Finding>, Error> {
    let folder = tempfile::tempdir().map_err(Error::failed)?;
    let mut scratch = config.clone();
    scratch.plugin_cache_dir = folder.path().join("plugin-cache");
    let mut plugins = Plugins::find(&scratch);
    for remark in plugins.warnings() {
        output.warn(&remark);
    }
    let holder = journal::holder(&config.state_dir);
    if let Some(pid) = &holder {
        output.warn(&format!(
            "host {pid} uses this `state_dir`, so exporters that allow one instance only were not started \
             (their settings were checked as far as that is possible without an instance)"
        ));
    }
    let mut findings: Vec<Finding> = config.storages.iter().map(storage).collect();
    for exporter in &config.exporters {
        let what = format!(
            "exporter {} ({}, {})",
            exporter.name, exporter.plugin, exporter.kind
        );
        let result = plugins.open_exporter(exporter).and_then(|offered| {
            if holder.is_some() && offered.exclusive {
                return plugin::check_config(&offered, exporter, instance_host(config, exporter, folder.path())).unwrap_or_else(|| {
                    output.warn(&format!(
                        "the settings of exporter `{}` were not checked: the running host has its only instance \
                         (stop the host, or build the plugin with a newer `delfin-plugin-api`)",
                        exporter.name
                    ));
                    Ok(())
                });
            }
            plugin::check_start(
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
    let state_dir = folder.display().to_string();
    InstanceHost::new(&exporter.name, &config.redactor, state_dir)
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
