//! `check`: reads the configuration, and checks the storages and the settings of each
//! exporter, and its receiver if that is asked for.
//!
//! Promises: sends nothing, creates nothing that stays, and runs code of plugins in
//! processes of their own only. A plugin that cannot check settings without an instance is
//! started with a temporary state folder; the output says so.

use std::{
    collections::HashMap,
    error::Error as _,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use serde::Serialize;
use tokio::runtime::Runtime;

use super::{error::Error, options::GlobalOptions, output::Output};
use crate::{
    api::ApiListener,
    cluster,
    collect::DriverRegistry,
    config::{Config, ExporterConfig, Isolation, StorageConfig},
    inputs::{SeriesInput, SeriesMappings},
    journal, logging,
    platform::keep_files_private,
    plugin::{Drivers, ExporterFactory, InstanceHost, Plugins, Trial},
    standby::check_cluster,
    state,
    syslog::SyslogMappings,
    traps::TrapMappings,
    webhooks::WebhookMappings,
};

/// Exporters that are checked at the same time. Each has a process.
const MAX_CHECKS: usize = 16;

#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Start each exporter, and check whether its receiver is available
    #[arg(long)]
    pub connect: bool,
}

/// How exporters are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExporterCheck {
    /// By their settings, without an instance.
    Settings,
    /// By an instance, which is created and closed.
    Start,
    /// By an instance, which also says whether its receiver is available.
    Connect,
}

/// The result of one check.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Whether it is about a receiver, not about the configuration.
    #[serde(skip)]
    is_connection: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("{failed} of {all} checks failed")]
struct ChecksFailed {
    failed: usize,
    all: usize,
}

pub(super) fn run(
    options: &GlobalOptions,
    args: &CheckArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    keep_files_private();
    let loaded = options.load_config()?;
    if !output.is_json() {
        output.line(&format!("ok      configuration {}", loaded.source))?;
    }
    for warning in &loaded.config.warnings {
        output.warn(warning);
    }
    let check = if args.connect {
        ExporterCheck::Connect
    } else {
        ExporterCheck::Settings
    };
    check_all(&loaded.config, check, output)
}

/// Checks the storages and exporters of a configuration, and prints the results.
///
/// # Errors
///
/// A storage or an exporter cannot start, or a receiver is not available.
pub(super) fn check_all(
    config: &Config,
    check: ExporterCheck,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    logging::start(&config.log);
    let findings = findings(config, check, output)?;
    logging::flush();
    if output.is_json() {
        output.json(&findings)?;
    } else {
        for finding in &findings {
            output.line(&finding.line())?;
        }
    }
    let failed: Vec<&Finding> = findings.iter().filter(|finding| !finding.ok).collect();
    let error = ChecksFailed {
        failed: failed.len(),
        all: findings.len(),
    };
    match &*failed {
        [] => Ok(()),
        failed if failed.iter().all(|finding| finding.is_connection) => Err(Error::failed(error)),
        _ => Err(Error::configuration(error)),
    }
}

fn findings(
    config: &Config,
    check: ExporterCheck,
    output: &Output<'_>,
) -> Result<Vec<Finding>, Error> {
    let folder = tempfile::tempdir().map_err(Error::failed)?;
    let mut scratch = config.clone();
    scratch.plugin_cache_dir = folder.path().join("plugin-cache");
    let mut plugins = Plugins::find(&scratch);
    for remark in plugins.warnings() {
        output.warn(&remark);
    }
    let is_host_running = journal::holder(&config.state_dir).is_some();
    let mut findings = addresses(config, is_host_running);
    findings.extend(log_file(config));
    findings.extend(cluster(config, check)?);
    findings.extend(kafka(config, check)?);
    let drivers = Drivers::new(&scratch);
    drivers.update(plugins.drivers());
    let storages = config.storages.iter();
    let storage = |one| storage(drivers.registry(), one);
    findings.extend(storages.map(storage));
    findings.extend(mappings(config, output));
    let context = ExporterChecks {
        config,
        check,
        folder: folder.path(),
        is_host_running,
    };
    // One after the other: plugins are hashed and copied once.
    let mut prepared = Vec::new();
    let mut unique = UniqueValues::default();
    for exporter in scratch.exporters {
        let isolation = plugins.check_isolation(&exporter);
        let exporter = ExporterConfig {
            isolation: Isolation::Process,
            ..exporter
        };
        let factory = isolation.and_then(|()| plugins.open_exporter(&exporter));
        let factory = factory.and_then(|factory| {
            unique.take(&exporter, &factory)?;
            Ok(factory)
        });
        prepared.push((exporter, factory));
    }
    for checked in context.run_all(&prepared) {
        for warning in &checked.warnings {
            output.warn(warning);
        }
        findings.extend(checked.findings);
    }
    Ok(findings)
}

/// The values of settings that only one exporter of a plugin may have.
#[derive(Default)]
struct UniqueValues {
    /// The exporter that has a value, by plugin file, setting and value.
    owners: HashMap<[String; 3], String>,
}

impl UniqueValues {
    /// # Errors
    ///
    /// An exporter before this one has the same value.
    fn take(&mut self, exporter: &ExporterConfig, factory: &ExporterFactory) -> Result<(), String> {
        for setting in &factory.unique_settings {
            let Some(value) = exporter.config.get(setting) else {
                continue;
            };
            let shown = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let key = [factory.sha256.clone(), setting.clone(), value.to_string()];
            let owner = self.owners.entry(key);
            let owner = owner.or_insert_with(|| exporter.name.clone());
            if *owner != exporter.name {
                return Err(format!(
                    "`{setting}` is `{shown}`, as in exporter `{owner}` (give each exporter its own)"
                ));
            }
        }
        Ok(())
    }
}

/// How the exporters of a configuration are checked.
struct ExporterChecks<'a> {
    config: &'a Config,
    check: ExporterCheck,
    /// For the state of instances.
    folder: &'a Path,
    is_host_running: bool,
}

/// What the check of an exporter has found.
#[derive(Default)]
struct CheckedExporter {
    findings: Vec<Finding>,
    warnings: Vec<String>,
}

impl ExporterChecks<'_> {
    /// Checks exporters at the same time, because most of it is waiting for receivers. The results
    /// have the order of the exporters.
    fn run_all(
        &self,
        exporters: &[(ExporterConfig, Result<ExporterFactory, String>)],
    ) -> Vec<CheckedExporter> {
        let waiting = Mutex::new(exporters.iter().enumerate());
        let next = || lock(&waiting).next();
        let checked = Mutex::new(Vec::new());
        let work = || {
            while let Some((number, (exporter, factory))) = next() {
                let result = self.run(exporter, factory.as_ref());
                lock(&checked).push((number, result));
            }
        };
        thread::scope(|scope| {
            for _ in 0..exporters.len().min(MAX_CHECKS) {
                scope.spawn(work);
            }
        });
        let mut checked = std::mem::take(&mut *lock(&checked));
        checked.sort_unstable_by_key(|(number, _)| *number);
        checked.into_iter().map(|(_, result)| result).collect()
    }

    fn run(
        &self,
        exporter: &ExporterConfig,
        factory: Result<&ExporterFactory, &String>,
    ) -> CheckedExporter {
        let what = format!(
            "exporter {} ({}, {})",
            exporter.name, exporter.plugin, exporter.kind
        );
        let mut checked = CheckedExporter::default();
        let mut connection = None;
        let result = factory.map_err(String::clone).and_then(|factory| {
            self.run_instance(exporter, factory, &mut connection, &mut checked.warnings)
        });
        let redacted = |result: Result<(), String>| {
            result.map_err(|error| self.config.redactor.redact(&error).into_owned())
        };
        let connection = connection.map(|result| Finding {
            is_connection: true,
            ..Finding::of(format!("connection of {what}"), redacted(result))
        });
        checked.findings.push(Finding::of(what, redacted(result)));
        checked.findings.extend(connection);
        checked
    }

    /// `connection` gets the result of the check of the receiver, if there is one.
    fn run_instance(
        &self,
        exporter: &ExporterConfig,
        factory: &ExporterFactory,
        connection: &mut Option<Result<(), String>>,
        warnings: &mut Vec<String>,
    ) -> Result<(), String> {
        let state_dir = self.folder.display().to_string();
        let host = || InstanceHost::new(&exporter.name, &self.config.redactor, state_dir.clone());
        let settings = CheckedSettings {
            factory,
            exporter,
            is_host_running: self.is_host_running,
        };
        match self.check {
            ExporterCheck::Settings => settings.run(host, warnings),
            ExporterCheck::Start => start(factory, exporter, host()),
            ExporterCheck::Connect if self.is_host_running && factory.exclusive => {
                warnings.push(format!(
                    "the connection of exporter `{}` was not checked: the running host has its only \
                     instance (see `delfin-host exporters`)",
                    exporter.name
                ));
                settings.run(host, warnings)
            }
            ExporterCheck::Connect => {
                let mut trial = Trial::start(factory, exporter, host())?;
                trial.create()?;
                *connection = Some(trial.health());
                trial.close()
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The check of an exporter's settings.
struct CheckedSettings<'a> {
    factory: &'a ExporterFactory,
    exporter: &'a ExporterConfig,
    is_host_running: bool,
}

impl CheckedSettings<'_> {
    fn run(
        &self,
        host: impl Fn() -> InstanceHost,
        warnings: &mut Vec<String>,
    ) -> Result<(), String> {
        if Trial::start(self.factory, self.exporter, host())?.check()? {
            return Ok(());
        }
        let name = &self.exporter.name;
        if self.is_host_running && self.factory.exclusive {
            warnings.push(format!(
                "the settings of exporter `{name}` were not checked: its plugin cannot check them without an \
                 instance, and the running host has the only one (stop the host, or build the plugin with a \
                 newer `delfin-plugin-api`)"
            ));
            return Ok(());
        }
        warnings.push(format!(
            "exporter `{name}` was started and closed, with a temporary state folder: its plugin cannot check \
             settings without an instance, and what it creates elsewhere stays (build it with a newer \
             `delfin-plugin-api`)"
        ));
        start(self.factory, self.exporter, host())
    }
}

/// Creates an instance and closes it.
fn start(
    factory: &ExporterFactory,
    exporter: &ExporterConfig,
    host: InstanceHost,
) -> Result<(), String> {
    let mut trial = Trial::start(factory, exporter, host)?;
    trial.create()?;
    trial.close()
}

/// The addresses of the API and of the metrics, if they cannot be used.
fn addresses(config: &Config, is_host_running: bool) -> Vec<Finding> {
    let api = config.api.listen;
    let api = ("API", api, ApiListener::check(api, is_host_running));
    let metrics = config.metrics.listen.map(|address| {
        let checked = ApiListener::check_metrics(address, is_host_running);
        ("metrics", address, checked)
    });
    let checked = std::iter::once(api).chain(metrics);
    let failed = checked.filter_map(|(what, address, checked)| {
        let error = checked.err()?;
        let reason = error.source().map(ToString::to_string).unwrap_or_default();
        let what = format!("{what} ({address})");
        Some(Finding::of(what, Err(format!("{error}: {reason}"))))
    });
    failed.collect()
}

/// The database of the cluster: the files of its certificates, and whether it can be used if that is asked for.
fn cluster(config: &Config, check: ExporterCheck) -> Result<Option<Finding>, Error> {
    let Some(cluster) = &config.cluster else {
        return Ok(None);
    };
    let (name, member) = (&cluster.name, &cluster.member);
    let what = format!(
        "cluster {name} as member {member} ({})",
        cluster.database_name()
    );
    let redacted = |reason: String| config.redactor.redact(&reason).into_owned();
    if let Err(failure) = cluster.database() {
        let reason = redacted(failure.to_string());
        return Ok(Some(Finding::of(what, Err(reason))));
    }
    if check != ExporterCheck::Connect {
        return Ok(Some(Finding::of(what, Ok(()))));
    }
    let runtime = Runtime::new().map_err(Error::failed)?;
    let checked = runtime.block_on(cluster::check(cluster));
    Ok(Some(Finding {
        is_connection: true,
        ..Finding::of(format!("connection of {what}"), checked.map_err(redacted))
    }))
}

/// The brokers of the journals, in the same way.
fn kafka(config: &Config, check: ExporterCheck) -> Result<Option<Finding>, Error> {
    let Some(cluster) = &config.cluster else {
        return Ok(None);
    };
    let Some(kafka) = &cluster.kafka else {
        return Ok(None);
    };
    let what = format!("journals on Kafka ({})", kafka.servers());
    let redacted = |text: &str| config.redactor.redact(text).into_owned();
    if let Err(failure) = kafka.topics(&cluster.name) {
        return Ok(Some(Finding::of(what, Err(redacted(&failure.to_string())))));
    }
    if let Err(error) = state::refuse_left_over(&config.state_dir) {
        return Ok(Some(Finding::of(what, Err(error.to_string()))));
    }
    if check != ExporterCheck::Connect {
        return Ok(Some(Finding::of(what, Ok(()))));
    }
    let runtime = Runtime::new().map_err(Error::failed)?;
    let checked = runtime.block_on(check_cluster(config));
    Ok(Some(Finding {
        is_connection: true,
        ..Finding::of(format!("connection of {what}"), checked)
    }))
}

/// The file of the log, if it cannot be written.
fn log_file(config: &Config) -> Option<Finding> {
    let error = logging::check_file(&config.log).err()?;
    let path = config.log.file.as_ref()?.path.display();
    let what = format!("log file `{path}`");
    let remedy = "(correct `log.file`, or the owner and mode of the file and its folder)";
    Some(Finding::of(
        what,
        Err(format!("cannot be written: {error} {remedy}")),
    ))
}

/// The mapping files of each input that is on, or whose folder exists.
fn mappings(config: &Config, output: &Output<'_>) -> Vec<Finding> {
    let (traps, syslog) = (&config.traps, &config.syslog);
    let webhook = &config.inputs.webhook;
    let trap_mappings = TrapMappings::load(&traps.mapping_dir, &traps.mib_dirs);
    let warnings = trap_mappings.iter().flat_map(TrapMappings::warnings);
    warnings.for_each(|warning| output.warn(warning));
    let inputs = [
        (
            "trap",
            traps.listen.is_some(),
            &traps.mapping_dir,
            trap_mappings.map(drop),
        ),
        (
            "syslog",
            syslog.is_on(),
            &syslog.mapping_dir,
            SyslogMappings::load(&syslog.mapping_dir).map(drop),
        ),
        (
            "webhook",
            webhook.enabled,
            &webhook.mapping_dir,
            WebhookMappings::load(&webhook.mapping_dir).map(drop),
        ),
    ];
    let series = SeriesInput::ALL.into_iter().map(|input| {
        let series = input.config(&config.inputs);
        let loaded = SeriesMappings::load(input, &series.mapping_dir).map(drop);
        (input.as_str(), series.enabled, &series.mapping_dir, loaded)
    });
    let used = inputs.into_iter().chain(series);
    let used = used.filter(|(_, is_on, folder, _)| *is_on || folder.exists());
    let findings = used.map(|(input, _, folder, loaded)| {
        let what = format!("{input} mappings ({})", folder.display());
        Finding::of(what, loaded.map_err(|error| error.to_string()))
    });
    findings.collect()
}

fn storage(registry: &DriverRegistry, storage: &StorageConfig) -> Finding {
    let what = format!(
        "storage {} ({}, {})",
        storage.name, storage.vendor, storage.model
    );
    let driver = registry.factory(&storage.vendor, &storage.model).map(drop);
    Finding::of(what, driver.map_err(|error| error.to_string()))
}

impl Finding {
    fn of(what: String, result: Result<(), String>) -> Self {
        Self {
            what,
            ok: result.is_ok(),
            reason: result.err(),
            is_connection: false,
        }
    }

    fn line(&self) -> String {
        match &self.reason {
            None => format!("ok      {}", self.what),
            Some(reason) => format!("failed  {}: {reason}", self.what),
        }
    }
}
