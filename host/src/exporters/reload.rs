//! Another configuration for a host that runs.
//!
//! It is validated whole before anything changes: a mistake, or a plugin that
//! cannot be had, leaves everything as it is. Then only what differs is touched:
//! an exporter that did not change goes on with its instance and its place, one
//! that did is replaced and takes over its place. What waits for one that is gone
//! is kept for a while.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::sync::{Mutex, watch};
use utoipa::ToSchema;

use super::{
    ExporterSet, StartError,
    start::{ExporterStarter, instance_host},
};
use crate::{
    config::{self, Config, ExporterConfig, LoadError, Loaded},
    delivery::State,
    plugin::{self, ExporterFactory, PluginView, Plugins},
};

/// How much longer than a call an exporter gets to stop.
const GRACE: Duration = Duration::from_secs(2);

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reloaded {
    /// Exporters that are new.
    pub added: Vec<String>,
    /// Exporters that were replaced, because their settings or their plugin changed.
    pub changed: Vec<String>,
    /// Exporters that are gone; what waits for them is kept for a day.
    pub removed: Vec<String>,
    /// Exporters that were not touched, but had given up and try again.
    pub resumed: Vec<String>,
    /// Exporters that were not touched.
    pub unchanged: Vec<String>,
    /// Parts of the configuration that changed and need a restart of the host.
    pub needs_restart: Vec<&'static str>,
}

/// Why a reload did nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration cannot be read, or has mistakes.
    #[error(transparent)]
    Config(#[from] LoadError),
    /// An exporter that is new or changed could not start.
    #[error("exporter `{name}`: {reason} (nothing was changed)")]
    Exporter {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// An exporter was stopped, and could not be started again.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Reloads the configuration, one time after another. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reloader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    starter: ExporterStarter,
    exporters: ExporterSet,
    /// The file; none if the configuration is built in.
    file: Option<PathBuf>,
    /// What runs.
    running: Mutex<Applied>,
    plugins: watch::Sender<Arc<[PluginView]>>,
}

#[derive(Debug)]
struct Applied {
    config: Config,
    /// The content of the library that each exporter is of.
    contents: BTreeMap<String, String>,
}

type Offers = BTreeMap<String, Result<ExporterFactory, String>>;

impl Reloader {
    /// For a host that was started with that configuration.
    pub(crate) fn new(
        loaded: Loaded,
        starter: ExporterStarter,
        exporters: ExporterSet,
        plugins: Arc<[PluginView]>,
    ) -> Self {
        let Loaded { config, source } = loaded;
        let running = Applied {
            contents: BTreeMap::new(),
            config,
        };
        Self(Arc::new(Inner {
            starter,
            exporters,
            file: source.path().map(PathBuf::from),
            running: Mutex::new(running),
            plugins: watch::Sender::new(plugins),
        }))
    }

    /// The plugin files that were found last.
    #[must_use]
    pub fn plugins(&self) -> watch::Receiver<Arc<[PluginView]>> {
        self.0.plugins.subscribe()
    }

    /// Starts the exporters of the configuration that the host was started with.
    pub(crate) async fn start_all(&self, plugins: &mut Plugins) -> Result<(), StartError> {
        let mut running = self.0.running.lock().await;
        self.0.starter.fix_places(&running.config).await?;
        for (name, offer) in offers(&running.config, plugins) {
            if let Ok(offered) = &offer {
                running
                    .contents
                    .insert(name.clone(), offered.sha256.clone());
            }
            let exporter = running
                .config
                .exporters
                .iter()
                .find(|exporter| exporter.name == name);
            if let Some(exporter) = exporter {
                self.0
                    .starter
                    .start(&running.config, exporter, offer)
                    .await?;
            }
        }
        let names: Vec<&str> = running
            .config
            .exporters
            .iter()
            .map(|e| e.name.as_str())
            .collect();
        self.0.exporters.sort(&names);
        self.0.plugins.send_replace(plugins.views().collect());
        Ok(())
    }

    /// Reads the configuration again, placeholders too, and makes it so.
    ///
    /// # Errors
    ///
    /// Nothing was changed, unless an exporter that could be tried cannot be
    /// started after all.
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        let mut running = self.0.running.lock().await;
        let new = tokio::task::block_in_place(|| config::load(self.0.file.as_deref()))?.config;
        for warning in &new.warnings {
            log::warn!("{warning}");
        }
        let mut reloaded = Reloaded {
            needs_restart: needing_restart(&running.config, &new),
            ..Reloaded::default()
        };
        // What needs a restart stays as it is.
        let new = Config {
            plugin_dirs: new.plugin_dirs,
            exporters: new.exporters,
            redactor: new.redactor,
            warnings: new.warnings,
            ..running.config.clone()
        };
        let (plugins, offers) = tokio::task::block_in_place(|| {
            let mut plugins = Plugins::find(&new);
            let offers = offers(&new, &mut plugins);
            (plugins, offers)
        });
        tokio::task::block_in_place(|| self.try_all(&running, &new, &offers))?;
        self.replace(&mut running, new, offers, &mut reloaded)
            .await?;
        self.0.plugins.send_replace(plugins.views().collect());
        log::info!(
            added = reloaded.added.join(", "), changed = reloaded.changed.join(", "),
            removed = reloaded.removed.join(", "); "the configuration was reloaded"
        );
        Ok(reloaded)
    }

    /// Whether what is new or changed could start: as far as can be said without
    /// disturbing what runs.
    fn try_all(&self, running: &Applied, new: &Config, offers: &Offers) -> Result<(), ReloadError> {
        for exporter in &new.exporters {
            let Some(offer) = offers.get(&exporter.name) else {
                continue;
            };
            if running.has(exporter, offer) {
                continue;
            }
            let tried = offer.as_ref().map_err(String::clone).and_then(|offered| {
                if offered.exclusive {
                    return Ok(());
                }
                let host = instance_host(new, exporter).map_err(|error| error.to_string())?;
                plugin::try_instance(offered, exporter, host)
            });
            tried.map_err(|reason| ReloadError::Exporter {
                name: exporter.name.clone(),
                reason: new.redactor.redact(&reason).into_owned(),
            })?;
        }
        Ok(())
    }

    async fn replace(
        &self,
        running: &mut Applied,
        new: Config,
        mut offers: Offers,
        reloaded: &mut Reloaded,
    ) -> Result<(), ReloadError> {
        let Inner {
            exporters, starter, ..
        } = &*self.0;
        for old in &running.config.exporters {
            if new
                .exporters
                .iter()
                .all(|exporter| exporter.name != old.name)
            {
                exporters.stop(&old.name, old.timeout + GRACE).await;
                running.contents.remove(&old.name);
                reloaded.removed.push(old.name.clone());
            }
        }
        starter.fix_places(&new).await?;
        for exporter in &new.exporters {
            let Some(offer) = offers.remove(&exporter.name) else {
                continue;
            };
            let name = exporter.name.clone();
            if running.has(exporter, &offer) {
                match exporters.get(&name) {
                    Some(same) if same.status.view().state != State::Running => {
                        same.resume();
                        reloaded.resumed.push(name);
                    }
                    Some(_) | None => reloaded.unchanged.push(name),
                }
                continue;
            }
            if let Some(old) = running.exporter(&name) {
                exporters.stop(&name, old.timeout + GRACE).await;
                reloaded.changed.push(name.clone());
            } else {
                reloaded.added.push(name.clone());
            }
            if let Ok(offered) = &offer {
                running.contents.insert(name, offered.sha256.clone());
            }
            starter.start(&new, exporter, offer).await?;
        }
        let names: Vec<&str> = new
            .exporters
            .iter()
            .map(|exporter| exporter.name.as_str())
            .collect();
        exporters.sort(&names);
        running.config = new;
        Ok(())
    }
}

impl Applied {
    fn exporter(&self, name: &str) -> Option<&ExporterConfig> {
        self.config
            .exporters
            .iter()
            .find(|exporter| exporter.name == name)
    }

    /// Whether that exporter runs already, of the same library.
    fn has(&self, exporter: &ExporterConfig, offer: &Result<ExporterFactory, String>) -> bool {
        let content = self.contents.get(&exporter.name);
        let offered = offer.as_ref().ok().map(|offered| &offered.sha256);
        self.exporter(&exporter.name) == Some(exporter) && content == offered
    }
}

fn offers(config: &Config, plugins: &mut Plugins) -> Offers {
    let exporters = config.exporters.iter();
    exporters
        .map(|exporter| (exporter.name.clone(), plugins.offer(exporter)))
        .collect()
}

/// The parts that differ and are looked at when the host starts, and then never
/// again.
fn needing_restart(old: &Config, new: &Config) -> Vec<&'static str> {
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
