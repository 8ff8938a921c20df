//! The plugin of each driver, as of the last reload.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use delfin_plugin_loader::PreparedPlugin;

use super::processes::DriverProcesses;
use crate::{
    config::{Config, DriverLimits, ProcessLimits},
    ingest::BodyLimits,
};

/// Vendor and model of a driver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::plugin) struct DriverModel {
    pub(in crate::plugin) vendor: String,
    pub(in crate::plugin) model: String,
}

/// The plugin of a driver, and what its manifest says about it.
#[derive(Debug)]
pub(in crate::plugin) struct DriverSource {
    pub(in crate::plugin) plugin: PreparedPlugin,
    /// SHA-256 of the plugin.
    pub(in crate::plugin) sha256: String,
    /// The longest time of one call.
    pub(in crate::plugin) timeout: Duration,
    /// The interval of measurements of a storage without one.
    pub(in crate::plugin) interval: Option<Duration>,
    /// The options with access data that the driver needs.
    pub(in crate::plugin) access: Vec<String>,
}

/// The drivers that were found, the limits of their processes, and the plugins that cannot be used.
#[derive(Debug, Default)]
pub struct FoundDrivers {
    pub(in crate::plugin) limits: DriverLimits,
    pub(in crate::plugin) sources: BTreeMap<DriverModel, DriverSource>,
    pub(in crate::plugin) refused: Vec<String>,
}

/// What a reload replaces.
#[derive(Debug, Default)]
pub(super) struct CurrentDrivers {
    pub(super) by_model: BTreeMap<DriverModel, Arc<DriverSource>>,
    pub(super) limits: DriverLimits,
}

/// The plugin of each driver, as of the last reload.
#[derive(Debug)]
pub(super) struct DriverSources {
    current: RwLock<CurrentDrivers>,
    /// The folder with a folder for each storage.
    pub(super) state_dir: PathBuf,
    pub(super) processes: DriverProcesses,
    /// Limits of a batch.
    pub(super) limits: BodyLimits,
}

impl DriverSources {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            current: RwLock::default(),
            state_dir: config.state_dir.join("drivers"),
            processes: DriverProcesses::default(),
            limits: BodyLimits::from(&config.api),
        }
    }

    pub(super) fn source(&self, model: &DriverModel) -> Option<Arc<DriverSource>> {
        self.read().by_model.get(model).cloned()
    }

    /// The limits for the process of a storage.
    pub(super) fn process_limits(&self, storage_id: &str) -> ProcessLimits {
        self.read().limits.of(storage_id)
    }

    fn read(&self) -> RwLockReadGuard<'_, CurrentDrivers> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, CurrentDrivers> {
        self.current.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DriverSource {
    /// Whether it is the same plugin, with the same manifest.
    pub(super) fn is(&self, other: &Self) -> bool {
        let path = |source: &Self| source.plugin.inspection().path.clone();
        (&self.sha256, path(self)) == (&other.sha256, path(other))
    }
}
