//! The drivers that plugins offer, in the registry of all drivers.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use super::instance::PluginDriver;
use crate::{
    collect::DriverRegistry, config::Config, ingest::BodyLimits, plugin::process::ProcessSource,
};

/// Vendor and model of a driver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::plugin) struct DriverModel {
    pub(in crate::plugin) vendor: String,
    pub(in crate::plugin) model: String,
}

/// What processes of a driver are made of.
#[derive(Debug)]
pub(in crate::plugin) struct DriverSource {
    pub(in crate::plugin) process: Arc<ProcessSource>,
    /// SHA-256 of the plugin.
    pub(in crate::plugin) sha256: String,
    /// The longest time of one call.
    pub(in crate::plugin) timeout: Duration,
    /// The options with access data that the driver needs.
    pub(in crate::plugin) access: Vec<String>,
}

/// The drivers that were found, and the plugins that cannot be used.
#[derive(Debug, Default)]
pub struct FoundDrivers {
    pub(in crate::plugin) sources: BTreeMap<DriverModel, DriverSource>,
    pub(in crate::plugin) refused: Vec<String>,
}

/// All drivers of the host: its own, and those of plugins. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Drivers {
    registry: DriverRegistry,
    sources: Arc<DriverSources>,
}

/// The plugin of each driver, as of the last reload.
#[derive(Debug)]
pub(super) struct DriverSources {
    by_model: RwLock<BTreeMap<DriverModel, Arc<DriverSource>>>,
    /// The folder with a folder for each storage.
    pub(super) state_dir: PathBuf,
    /// Limits of a batch.
    pub(super) limits: BodyLimits,
}

impl Drivers {
    /// The drivers of the host alone.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            registry: DriverRegistry::default(),
            sources: Arc::new(DriverSources {
                by_model: RwLock::default(),
                state_dir: config.state_dir.join("drivers"),
                limits: BodyLimits::from(&config.api),
            }),
        }
    }

    /// The drivers by vendor and model. It follows every [`update`](Self::update).
    #[must_use]
    pub fn registry(&self) -> &DriverRegistry {
        &self.registry
    }

    /// Uses the drivers that were found from now on. A storage whose driver has changed gets a
    /// new process at its next call.
    pub fn update(&self, found: FoundDrivers) {
        for refused in found.refused {
            log::warn!("{refused}");
        }
        let mut by_model = self.sources.write();
        for model in by_model
            .keys()
            .filter(|model| !found.sources.contains_key(model))
        {
            self.registry.remove(&model.vendor, &model.model);
        }
        let mut current = std::mem::take(&mut *by_model);
        for (model, source) in found.sources {
            let same = current.remove(&model).filter(|current| current.is(&source));
            if !self.registry.has(&model.vendor, &model.model) {
                self.register(model.clone());
            }
            by_model.insert(model, same.unwrap_or_else(|| Arc::new(source)));
        }
    }

    fn register(&self, model: DriverModel) {
        let sources = Arc::clone(&self.sources);
        let (vendor, name) = (model.vendor.clone(), model.model.clone());
        self.registry.add(&vendor, &name, move |target| {
            let driver = PluginDriver::new(model.clone(), Arc::clone(&sources), target)?;
            Ok(Box::new(driver))
        });
    }
}

impl DriverSources {
    pub(super) fn source(&self, model: &DriverModel) -> Option<Arc<DriverSource>> {
        let by_model = self.by_model.read().unwrap_or_else(PoisonError::into_inner);
        by_model.get(model).cloned()
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<DriverModel, Arc<DriverSource>>> {
        self.by_model
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl DriverSource {
    /// Whether it is the same plugin, with the same manifest.
    fn is(&self, other: &Self) -> bool {
        let path = |source: &Self| source.process.plugin.inspection().path.clone();
        (&self.sha256, path(self)) == (&other.sha256, path(other))
    }
}
