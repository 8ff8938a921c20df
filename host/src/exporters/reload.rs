//! Applies a new configuration to a running host.
//!
//! The new configuration is checked before anything changes: a mistake, or a
//! plugin that cannot be opened, changes nothing. Then only exporters that differ
//! are touched. An unchanged exporter keeps its instance, a changed one is replaced
//! and keeps its cursor. One that allows a single instance and cannot start with its
//! new settings gets its old ones back. The cursor of a removed exporter is kept for
//! a day.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::{Mutex, MutexGuard, watch};

use super::{
    ExporterSet, ExporterStartError,
    plan::{AppliedConfig, Factories, Reloaded, parts_needing_restart},
    start::{ExporterStarter, instance_host, marker},
};
use crate::{
    config::{self, Config, ExporterConfig, Isolation, LoadError, Loaded},
    delivery::{State, open_guarded},
    plugin::{ExporterFactory, InstanceHost, PluginView, Plugins, Trial},
};

/// Added to the call timeout when an exporter is stopped or replaced.
const GRACE: Duration = Duration::from_secs(2);
/// How long to wait for an unchanged exporter that tries again.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// Why a reload failed. Nothing is changed, unless [`Self::Refused`] or [`Self::Start`].
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error(transparent)]
    Config(#[from] LoadError),
    /// A new or changed exporter cannot start.
    #[error("exporter `{name}`: {reason} (nothing was changed)")]
    Exporter { name: String, reason: String },
    /// Exporters that allow one instance only could not start with new settings.
    #[error("{} (the old settings run again; every other change was applied)", exporters.join("; "))]
    Refused { exporters: Vec<String> },
    /// An exporter was stopped and cannot be started again.
    #[error(transparent)]
    Start(#[from] ExporterStartError),
}

/// Reloads the configuration, one reload at a time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reloader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    starter: ExporterStarter,
    exporters: ExporterSet,
    /// `None`: the embedded configuration.
    file: Option<PathBuf>,
    applied: Mutex<AppliedConfig>,
    plugins: watch::Sender<Arc<[PluginView]>>,
}

impl Reloader {
    /// `loaded` is the configuration that the host starts with.
    pub(crate) fn new(
        loaded: Loaded,
        starter: ExporterStarter,
        exporters: ExporterSet,
        plugins: Arc<[PluginView]>,
    ) -> Self {
        let Loaded { config, source } = loaded;
        let applied = AppliedConfig {
            factories: BTreeMap::new(),
            config,
        };
        Self(Arc::new(Inner {
            starter,
            exporters,
            file: source.path().map(PathBuf::from),
            applied: Mutex::new(applied),
            plugins: watch::Sender::new(plugins),
        }))
    }

    /// The plugin files, as of the last reload.
    #[must_use]
    pub fn plugins(&self) -> watch::Receiver<Arc<[PluginView]>> {
        self.0.plugins.subscribe()
    }

    /// Starts the exporters of the configuration that the host starts with.
    pub(crate) async fn start_all(&self, plugins: &mut Plugins) -> Result<(), ExporterStartError> {
        let mut applied = self.0.applied.lock().await;
        self.0.starter.open_cursors(&applied.config).await?;
        for (name, factory) in factories(&applied.config, plugins, OpenMode::Start) {
            if let Ok(factory) = &factory {
                applied.factories.insert(name.clone(), factory.clone());
            }
            let exporter = applied
                .config
                .exporters
                .iter()
                .find(|exporter| exporter.name == name);
            if let Some(exporter) = exporter {
                self.0
                    .starter
                    .start(&applied.config, exporter, factory)
                    .await?;
            }
        }
        let names: Vec<&str> = applied
            .config
            .exporters
            .iter()
            .map(|e| e.name.as_str())
            .collect();
        self.0.exporters.sort(&names);
        self.0.plugins.send_replace(plugins.views().collect());
        Ok(())
    }

    /// The configuration that the exporters run with. No reload changes it while the guard
    /// exists.
    pub(super) async fn applied(&self) -> MutexGuard<'_, AppliedConfig> {
        self.0.applied.lock().await
    }

    pub(super) fn exporters(&self) -> &ExporterSet {
        &self.0.exporters
    }

    pub(super) fn starter(&self) -> &ExporterStarter {
        &self.0.starter
    }

    /// Reads the configuration again, with its placeholders, and applies it.
    ///
    /// # Errors
    ///
    /// See [`ReloadError`].
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        let mut applied = self.0.applied.lock().await;
        let new = tokio::task::block_in_place(|| self.prepare(&applied))?;
        for warning in new.config.warnings.iter().chain(&new.plan.warnings) {
            log::warn!("{warning}");
        }
        let views = new.plugins.views().collect();
        let reloaded = self.replace(&mut applied, new).await?;
        self.0.plugins.send_replace(views);
        log::info!(
            added = reloaded.added.join(", "), changed = reloaded.changed.join(", "),
            removed = reloaded.removed.join(", "); "the configuration was reloaded"
        );
        Ok(reloaded)
    }

    /// Reads the configuration again, checks it as [`reload`](Self::reload) does, and
    /// changes nothing. Returns what would change.
    ///
    /// # Errors
    ///
    /// See [`ReloadError`].
    pub async fn dry_run(&self) -> Result<Reloaded, ReloadError> {
        let applied = self.0.applied.lock().await;
        let new = tokio::task::block_in_place(|| self.prepare(&applied))?;
        Ok(new.plan)
    }

    /// Reads and checks the new configuration.
    fn prepare(&self, applied: &AppliedConfig) -> Result<CheckedConfig, ReloadError> {
        let new = config::load(self.0.file.as_deref())?.config;
        let needs_restart = parts_needing_restart(&applied.config, &new);
        // Parts that need a restart keep their values.
        let config = Config {
            plugin_dirs: new.plugin_dirs,
            exporters: new.exporters,
            redactor: new.redactor,
            warnings: new.warnings,
            ..applied.config.clone()
        };
        let mut plugins = Plugins::find(&config);
        let factories = factories(&config, &mut plugins, OpenMode::Reload);
        self.check_start(applied, &config, &factories)?;
        Ok(CheckedConfig {
            plan: Reloaded {
                needs_restart,
                ..applied.plan(&config, &factories)
            },
            config,
            plugins,
            factories,
        })
    }

    /// Checks that new and changed exporters can start. Of exporters that allow one
    /// instance only, only the settings are checked: a second instance would disturb
    /// the first.
    fn check_start(
        &self,
        applied: &AppliedConfig,
        new: &Config,
        factories: &Factories,
    ) -> Result<(), ReloadError> {
        for exporter in &new.exporters {
            let Some(factory) = factories.get(&exporter.name) else {
                continue;
            };
            if applied.runs(exporter, factory) {
                continue;
            }
            let checked = factory.as_ref().map_err(String::clone).and_then(|factory| {
                if factory.exclusive {
                    let host = InstanceHost::new(&exporter.name, &new.redactor, String::new());
                    return Trial::start(factory, exporter, host)?.check().map(drop);
                }
                let host = instance_host(new, exporter).map_err(|error| error.to_string())?;
                let trial = Trial::start(factory, exporter, host)?;
                trial.create()?;
                trial.close()
            });
            checked.map_err(|reason| ReloadError::Exporter {
                name: exporter.name.clone(),
                reason: new.redactor.redact(&reason).into_owned(),
            })?;
        }
        Ok(())
    }

    async fn replace(
        &self,
        applied: &mut AppliedConfig,
        new: CheckedConfig,
    ) -> Result<Reloaded, ReloadError> {
        let CheckedConfig {
            mut config,
            mut factories,
            plan: mut reloaded,
            plugins: _,
        } = new;
        let Inner {
            exporters, starter, ..
        } = &*self.0;
        for name in &reloaded.removed {
            if let Some(old) = applied.exporter(name) {
                exporters.stop(name, old.timeout + GRACE).await;
            }
            applied.factories.remove(name);
        }
        starter.open_cursors(&config).await?;
        for name in std::mem::take(&mut reloaded.unchanged) {
            self.retry(name, &mut reloaded).await;
        }
        let mut refused = Vec::new();
        for exporter in config.exporters.clone() {
            let name = &exporter.name;
            if !reloaded.changed.contains(name) && !reloaded.added.contains(name) {
                continue;
            }
            let Some(factory) = factories.remove(name) else {
                continue;
            };
            let old = applied.exporter(name).cloned();
            if let Some(old) = &old {
                exporters.stop(name, old.timeout + GRACE).await;
            }
            starter.start(&config, &exporter, factory.clone()).await?;
            let (Some(old), Some(old_factory)) = (old, applied.factories.get(name).cloned()) else {
                applied
                    .factories
                    .extend(factory.ok().map(|factory| (name.clone(), factory)));
                continue;
            };
            match self.failed_start(&exporter, &factory).await {
                None => {
                    applied
                        .factories
                        .extend(factory.ok().map(|factory| (name.clone(), factory)));
                }
                Some(reason) => {
                    refused.push(format!("exporter `{name}`: {reason}"));
                    exporters.stop(name, exporter.timeout + GRACE).await;
                    starter.start(&config, &old, Ok(old_factory)).await?;
                    for configured in &mut config.exporters {
                        if configured.name == *name {
                            *configured = old.clone();
                        }
                    }
                }
            }
        }
        let names = config
            .exporters
            .iter()
            .map(|exporter| exporter.name.as_str());
        exporters.sort(&names.collect::<Vec<_>>());
        applied.config = config;
        if refused.is_empty() {
            return Ok(reloaded);
        }
        Err(ReloadError::Refused { exporters: refused })
    }

    /// Lets an unchanged exporter try again, unless it runs or an operator pauses it.
    async fn retry(&self, name: String, reloaded: &mut Reloaded) {
        let Some(exporter) = self.0.exporters.get(&name) else {
            return reloaded.unchanged.push(name);
        };
        let view = exporter.status.view();
        if view.state == State::Running || view.paused_by_operator {
            return reloaded.unchanged.push(name);
        }
        exporter.resume().await;
        let _ = exporter.wait_for_start(START_PATIENCE).await;
        let view = exporter.status.view();
        if !matches!(view.state, State::Failed | State::Quarantined) {
            return reloaded.resumed.push(name);
        }
        let reason = view.last_error.unwrap_or_default();
        let warning = format!("exporter `{name}`: {reason}");
        if !reloaded.warnings.contains(&warning) {
            reloaded.warnings.push(warning);
        }
        reloaded.failed.push(name);
    }

    /// Why an exporter that replaced the only instance cannot start. The others were
    /// started on trial before.
    async fn failed_start(
        &self,
        exporter: &ExporterConfig,
        factory: &Result<ExporterFactory, String>,
    ) -> Option<String> {
        if !factory.as_ref().is_ok_and(|factory| factory.exclusive) {
            return None;
        }
        let started = self.0.exporters.get(&exporter.name)?;
        let patience = exporter.timeout + GRACE;
        started.wait_for_start(patience).await.err()
    }
}

/// A new configuration that can be applied.
struct CheckedConfig {
    config: Config,
    plugins: Plugins,
    factories: Factories,
    plan: Reloaded,
}

/// Why plugins are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenMode {
    Start,
    Reload,
}

fn factories(config: &Config, plugins: &mut Plugins, mode: OpenMode) -> Factories {
    let open = |exporter: &ExporterConfig| match exporter.isolation {
        Isolation::Process => plugins.open_exporter(exporter),
        Isolation::Thread => {
            let (marker, retry) = (marker(config, exporter), mode == OpenMode::Reload);
            open_guarded(&marker, retry, || plugins.open_exporter(exporter))
        }
    };
    let names = config
        .exporters
        .iter()
        .map(|exporter| exporter.name.clone());
    names.zip(config.exporters.iter().map(open)).collect()
}
