//! Applies a new configuration to a applied host.
//!
//! The new configuration is checked before anything changes: a mistake, or a
//! plugin that cannot be opened, changes nothing. Then only exporters that differ
//! are touched. An unchanged exporter keeps its instance, a changed one is replaced
//! and keeps its cursor. The cursor of a removed exporter is kept for a day.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::sync::{Mutex, watch};
use utoipa::ToSchema;

use super::{
    ExporterSet, ExporterStartError,
    start::{ExporterStarter, instance_host},
};
use crate::{
    config::{self, Config, ExporterConfig, LoadError, Loaded},
    delivery::State,
    plugin::{self, ExporterFactory, PluginView, Plugins},
};

/// Added to the call timeout when an exporter is stopped.
const GRACE: Duration = Duration::from_secs(2);

/// The result of a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reloaded {
    /// New exporters.
    pub added: Vec<String>,
    /// Exporters that were replaced, because their settings or their plugin changed.
    pub changed: Vec<String>,
    /// Removed exporters; what is pending for them is kept for a day.
    pub removed: Vec<String>,
    /// Unchanged exporters that were not `applied` and try again now.
    pub resumed: Vec<String>,
    /// Unchanged exporters.
    pub unchanged: Vec<String>,
    /// Changed parts of the configuration that need a restart of the host.
    pub needs_restart: Vec<&'static str>,
}

/// Why a reload failed. Nothing is changed, unless [`Self::Start`].
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error(transparent)]
    Config(#[from] LoadError),
    /// A new or changed exporter cannot start.
    #[error("exporter `{name}`: {reason} (nothing was changed)")]
    Exporter { name: String, reason: String },
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

#[derive(Debug)]
struct AppliedConfig {
    config: Config,
    /// SHA-256 of each exporter's plugin file.
    plugin_hashes: BTreeMap<String, String>,
}

type Factories = BTreeMap<String, Result<ExporterFactory, String>>;

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
            plugin_hashes: BTreeMap::new(),
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
        for (name, factory) in factories(&applied.config, plugins) {
            if let Ok(factory) = &factory {
                applied
                    .plugin_hashes
                    .insert(name.clone(), factory.sha256.clone());
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

    /// Reads the configuration again, with its placeholders, and applies it.
    ///
    /// # Errors
    ///
    /// See [`ReloadError`].
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        let mut applied = self.0.applied.lock().await;
        let new = tokio::task::block_in_place(|| config::load(self.0.file.as_deref()))?.config;
        for warning in &new.warnings {
            log::warn!("{warning}");
        }
        let mut reloaded = Reloaded {
            needs_restart: parts_needing_restart(&applied.config, &new),
            ..Reloaded::default()
        };
        // Parts that need a restart keep their values.
        let new = Config {
            plugin_dirs: new.plugin_dirs,
            exporters: new.exporters,
            redactor: new.redactor,
            warnings: new.warnings,
            ..applied.config.clone()
        };
        let (plugins, factories) = tokio::task::block_in_place(|| {
            let mut plugins = Plugins::find(&new);
            let factories = factories(&new, &mut plugins);
            (plugins, factories)
        });
        tokio::task::block_in_place(|| self.check_start(&applied, &new, &factories))?;
        self.replace(&mut applied, new, factories, &mut reloaded)
            .await?;
        self.0.plugins.send_replace(plugins.views().collect());
        log::info!(
            added = reloaded.added.join(", "), changed = reloaded.changed.join(", "),
            removed = reloaded.removed.join(", "); "the configuration was reloaded"
        );
        Ok(reloaded)
    }

    /// Checks that new and changed exporters can start. Exporters that allow one
    /// instance only are not checked: a second instance would disturb the first.
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
                    return Ok(());
                }
                let host = instance_host(new, exporter).map_err(|error| error.to_string())?;
                plugin::check_start(factory, exporter, host)
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
        new: Config,
        mut factories: Factories,
        reloaded: &mut Reloaded,
    ) -> Result<(), ReloadError> {
        let Inner {
            exporters, starter, ..
        } = &*self.0;
        for old in &applied.config.exporters {
            if new
                .exporters
                .iter()
                .all(|exporter| exporter.name != old.name)
            {
                exporters.stop(&old.name, old.timeout + GRACE).await;
                applied.plugin_hashes.remove(&old.name);
                reloaded.removed.push(old.name.clone());
            }
        }
        starter.open_cursors(&new).await?;
        for exporter in &new.exporters {
            let Some(factory) = factories.remove(&exporter.name) else {
                continue;
            };
            let name = exporter.name.clone();
            if applied.runs(exporter, &factory) {
                match exporters.get(&name) {
                    Some(same) if same.status.view().state != State::Running => {
                        same.resume();
                        reloaded.resumed.push(name);
                    }
                    Some(_) | None => reloaded.unchanged.push(name),
                }
                continue;
            }
            if let Some(old) = applied.exporter(&name) {
                exporters.stop(&name, old.timeout + GRACE).await;
                reloaded.changed.push(name.clone());
            } else {
                reloaded.added.push(name.clone());
            }
            if let Ok(factory) = &factory {
                applied.plugin_hashes.insert(name, factory.sha256.clone());
            }
            starter.start(&new, exporter, factory).await?;
        }
        let names: Vec<&str> = new
            .exporters
            .iter()
            .map(|exporter| exporter.name.as_str())
            .collect();
        exporters.sort(&names);
        applied.config = new;
        Ok(())
    }
}

impl AppliedConfig {
    fn exporter(&self, name: &str) -> Option<&ExporterConfig> {
        self.config
            .exporters
            .iter()
            .find(|exporter| exporter.name == name)
    }

    /// Whether this exporter runs with the same settings and the same plugin file.
    fn runs(&self, exporter: &ExporterConfig, factory: &Result<ExporterFactory, String>) -> bool {
        let hash = self.plugin_hashes.get(&exporter.name);
        let new_hash = factory.as_ref().ok().map(|factory| &factory.sha256);
        self.exporter(&exporter.name) == Some(exporter) && hash == new_hash
    }
}

fn factories(config: &Config, plugins: &mut Plugins) -> Factories {
    let exporters = config.exporters.iter();
    exporters
        .map(|exporter| (exporter.name.clone(), plugins.open_exporter(exporter)))
        .collect()
}

/// Changed parts of the configuration that are read only when the host starts.
fn parts_needing_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let differs = [
        ("state_dir", old.state_dir != new.state_dir),
        (
            "plugin_cache_dir",
            old.plugin_cache_dir != new.plugin_cache_dir,
        ),
        ("log", old.log != new.log),
        ("api", old.api != new.api),
        ("journal", old.journal != new.journal),
        ("alerts", old.alerts != new.alerts),
        ("shutdown", old.shutdown != new.shutdown),
        ("storage", old.storages != new.storages),
    ];
    differs
        .into_iter()
        .filter_map(|(part, differs)| differs.then_some(part))
        .collect()
}
