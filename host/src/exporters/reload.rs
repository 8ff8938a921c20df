//! Reads and applies a new configuration in a running host.
//!
//! A mistake in the configuration changes nothing. Otherwise each new or changed exporter
//! is tried before its old instance is stopped, and each one for itself: one that is
//! refused keeps its old instance, and the others change. Unchanged exporters are not
//! touched. The cursor of a removed exporter is kept for a day.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    sync::{Mutex, MutexGuard, watch},
    task::block_in_place,
};

use super::{
    ExporterSet, ExporterStartError,
    plan::{AppliedConfig, Factories, Reloaded, parts_needing_restart, with_labels_of},
    replace::{Refusals, Replacer, TriedConfig},
    settings::{AppliedSettings, ShownSettings},
    start::{ExporterStarter, marker},
    trials::Trials,
};
use crate::{
    clock::now_ms,
    config::{self, Config, ExporterConfig, Isolation, LoadError, Loaded},
    delivery::open_guarded,
    mappings::{InputMappingSets, InputMappings},
    notification::MappingError,
    plugin::{Drivers, ExporterFactory, FoundDrivers, PluginView, Plugins},
    storages::Storages,
};

/// Why a reload failed. Nothing is changed, unless [`Self::Refused`] or [`Self::Start`].
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error(transparent)]
    Config(#[from] LoadError),
    /// No plugin offers a new or changed exporter.
    #[error("exporter `{name}`: {reason} (nothing was changed)")]
    Exporter { name: String, reason: String },
    /// New or changed exporters could not be started as configured.
    #[error("{refusals}; {others}")]
    Refused {
        refusals: Refusals,
        others: &'static str,
    },
    /// An exporter was stopped and cannot be started again.
    #[error(transparent)]
    Start(#[from] ExporterStartError),
    /// The mapping files have a mistake.
    #[error("{0} (nothing was changed)")]
    Mappings(#[from] MappingError),
    #[error("cannot create a temporary folder")]
    Scratch(#[source] io::Error),
}

/// Reloads the configuration, one reload at a time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reloader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    replacer: Replacer,
    /// `None`: the embedded configuration.
    file: Option<PathBuf>,
    applied: Mutex<AppliedConfig>,
    plugins: watch::Sender<Arc<[PluginView]>>,
    settings: watch::Sender<Arc<AppliedSettings>>,
    drivers: Drivers,
    mappings: InputMappingSets,
}

/// What the configuration file and the plugin folders offer.
struct FoundParts {
    views: Arc<[PluginView]>,
    drivers: FoundDrivers,
    settings: ShownSettings,
    mappings: InputMappings,
}

impl Reloader {
    /// `loaded` is the configuration that the host starts with.
    pub(crate) fn new(
        loaded: Loaded,
        starter: ExporterStarter,
        exporters: ExporterSet,
        plugins: Arc<[PluginView]>,
        mappings: InputMappingSets,
    ) -> Self {
        let Loaded {
            config,
            source,
            settings,
        } = loaded;
        let drivers = Drivers::new(&config);
        let applied = AppliedConfig {
            factories: BTreeMap::new(),
            config,
        };
        Self(Arc::new(Inner {
            replacer: Replacer { starter, exporters },
            settings: watch::Sender::new(Arc::new(AppliedSettings {
                source: source.to_string(),
                applied_ms: now_ms(),
                settings,
            })),
            file: source.path().map(PathBuf::from),
            applied: Mutex::new(applied),
            plugins: watch::Sender::new(plugins),
            drivers,
            mappings,
        }))
    }

    /// The plugin files, as of the last reload.
    #[must_use]
    pub fn plugins(&self) -> watch::Receiver<Arc<[PluginView]>> {
        self.0.plugins.subscribe()
    }

    /// The settings of the configuration file that are in force, as of the last reload.
    #[must_use]
    pub fn settings(&self) -> watch::Receiver<Arc<AppliedSettings>> {
        self.0.settings.subscribe()
    }

    /// All drivers, as of the last reload.
    pub(crate) fn drivers(&self) -> &Drivers {
        &self.0.drivers
    }

    /// Finds the drivers of plugins, and starts the exporters of the configuration that the
    /// host starts with.
    pub(crate) async fn start_all(&self, plugins: &mut Plugins) -> Result<(), ExporterStartError> {
        let mut applied = self.0.applied.lock().await;
        self.0
            .replacer
            .starter
            .open_cursors(&applied.config)
            .await?;
        // A probe waits for a process, whose supervisor is a task: it needs this worker.
        let factories = block_in_place(|| factories(&applied.config, plugins, OpenMode::Start));
        for (name, factory) in factories {
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
                    .replacer
                    .starter
                    .start(&applied.config, exporter, factory, None)
                    .await?;
            }
        }
        let names: Vec<&str> = applied
            .config
            .exporters
            .iter()
            .map(|e| e.name.as_str())
            .collect();
        self.0.replacer.exporters.sort(&names);
        self.0.drivers.update(block_in_place(|| plugins.drivers()));
        self.0.plugins.send_replace(plugins.views().collect());
        Ok(())
    }

    /// The configuration that the exporters run with. No reload changes it while the guard
    /// exists.
    pub(super) async fn applied(&self) -> MutexGuard<'_, AppliedConfig> {
        self.0.applied.lock().await
    }

    pub(super) fn exporters(&self) -> &ExporterSet {
        &self.0.replacer.exporters
    }

    pub(super) fn replacer(&self) -> &Replacer {
        &self.0.replacer
    }

    pub(super) fn starter(&self) -> &ExporterStarter {
        &self.0.replacer.starter
    }

    /// Reads the configuration again, with its placeholders, and applies it. Opens an inventory
    /// again that cannot be used.
    ///
    /// # Errors
    ///
    /// See [`ReloadError`].
    pub async fn reload(&self, storages: &Storages) -> Result<Reloaded, ReloadError> {
        let mut applied = self.0.applied.lock().await;
        let prepared = block_in_place(|| self.prepare(&applied, None));
        let (new, found) = prepared?;
        for warning in new.config.warnings.iter().chain(&new.plan.warnings) {
            log::warn!("{warning}");
        }
        let (mut reloaded, refusals) = self.0.replacer.apply(&mut applied, new).await?;
        self.0.drivers.update(found.drivers);
        self.0.plugins.send_replace(found.views);
        self.0.mappings.replace(found.mappings);
        storages.set_declared_labels(&applied.config.storages);
        let kept = refusals.iter().filter(|refusal| refusal.keeps_old);
        let kept = kept.map(|refusal| &*refusal.name);
        let settings = self
            .settings()
            .borrow()
            .after(found.settings, &reloaded, kept);
        self.0.settings.send_replace(Arc::new(settings));
        if let Some(fault) = storages.reopen_inventory().await {
            let warning = format!("the registered storages are unknown, because {fault}");
            reloaded.warnings.push(warning);
        }
        log::info!(
            added = reloaded.added.join(", "), changed = reloaded.changed.join(", "),
            removed = reloaded.removed.join(", "); "the configuration was reloaded"
        );
        if refusals.is_empty() {
            return Ok(reloaded);
        }
        Err(ReloadError::Refused {
            refusals: refusals.into(),
            others: "every other change was applied",
        })
    }

    /// Reads the configuration again, checks it as [`reload`](Self::reload) does, and
    /// changes nothing. Returns what would change.
    ///
    /// # Errors
    ///
    /// See [`ReloadError`].
    pub async fn dry_run(&self) -> Result<Reloaded, ReloadError> {
        let applied = self.0.applied.lock().await;
        let (new, ..) = block_in_place(|| {
            let scratch = tempfile::tempdir().map_err(ReloadError::Scratch)?;
            self.prepare(&applied, Some(scratch.path()))
        })?;
        if new.refusals.is_empty() {
            return Ok(new.plan);
        }
        Err(ReloadError::Refused {
            refusals: new.refusals.into(),
            others: "every other change would be applied",
        })
    }

    /// Reads the new configuration, and tries the new and changed exporters. Test instances
    /// have their state in `scratch`, or where the exporter has it.
    fn prepare(
        &self,
        applied: &AppliedConfig,
        scratch: Option<&Path>,
    ) -> Result<(TriedConfig, FoundParts), ReloadError> {
        let loaded = config::load(self.0.file.as_deref())?;
        let new = loaded.config;
        let mappings = InputMappings::load(&applied.config)?;
        // Labels are all that a reload changes of a storage.
        let storages = with_labels_of(&applied.config.storages, &new.storages);
        let needs_restart = parts_needing_restart(&applied.config, &new, &storages);
        // Parts that need a restart keep their values.
        let mut config = Config {
            plugin_dirs: new.plugin_dirs,
            exporters: new.exporters,
            driver_limits: new.driver_limits,
            storages,
            redactor: new.redactor,
            warnings: new.warnings,
            ..applied.config.clone()
        };
        let mut plugins = Plugins::find(&config);
        let factories = factories(&config, &mut plugins, OpenMode::Reload);
        Self::check_names(applied, &config, &plugins, &factories)?;
        let mut plan = Reloaded {
            needs_restart,
            ..applied.plan(&config, &factories)
        };
        let trials = Trials {
            applied,
            factories: &factories,
            scratch,
        };
        let (candidates, refusals) = trials.run(&mut config, &mut plan);
        let tried = TriedConfig {
            config,
            factories,
            plan,
            candidates,
            refusals,
        };
        let found = FoundParts {
            drivers: plugins.drivers(),
            views: plugins.views().collect(),
            settings: loaded.settings,
            mappings,
        };
        Ok((tried, found))
    }

    /// The new settings of each new or changed exporter name a plugin that exists.
    fn check_names(
        applied: &AppliedConfig,
        new: &Config,
        plugins: &Plugins,
        factories: &Factories,
    ) -> Result<(), ReloadError> {
        for exporter in &new.exporters {
            let Some(factory) = factories.get(&exporter.name) else {
                continue;
            };
            if let Err(reason) = factory
                && !applied.runs(exporter, factory)
                && plugins.is_unknown(exporter)
            {
                return Err(ReloadError::Exporter {
                    name: exporter.name.clone(),
                    reason: new.redactor.redact(reason).into_owned(),
                });
            }
        }
        Ok(())
    }
}

/// Why plugins are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenMode {
    Start,
    /// A person has asked for it.
    Reload,
}

fn factories(config: &Config, plugins: &mut Plugins, mode: OpenMode) -> Factories {
    let opened = config.exporters.iter().map(|exporter| {
        let factory = open(config, plugins, exporter, mode);
        (exporter.name.clone(), factory)
    });
    opened.collect()
}

/// Opens the plugin of an exporter.
pub(super) fn open(
    config: &Config,
    plugins: &mut Plugins,
    exporter: &ExporterConfig,
    mode: OpenMode,
) -> Result<ExporterFactory, String> {
    match exporter.isolation {
        Isolation::Process => plugins.open_exporter(exporter),
        Isolation::Thread => {
            let (marker, retry) = (marker(config, exporter), mode == OpenMode::Reload);
            open_guarded(&marker, retry, || plugins.open_exporter(exporter))
        }
    }
}
