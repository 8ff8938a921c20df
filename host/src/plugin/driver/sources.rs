//! The plugin of each driver, as of the last reload.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
    time::Duration,
};

use super::processes::DriverProcesses;
use crate::{config::Config, ingest::BodyLimits, plugin::process::ProcessSource};

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
    /// The interval of measurements of a storage without one.
    pub(in crate::plugin) interval: Option<Duration>,
    /// The options with access data that the driver needs.
    pub(in crate::plugin) access: Vec<String>,
}

/// The drivers that were found, and the plugins that cannot be used.
#[derive(Debug, Default)]
pub struct FoundDrivers {
    pub(in crate::plugin) sources: BTreeMap<DriverModel, DriverSource>,
    pub(in crate::plugin) refused: Vec<String>,
}

/// The plugin of each driver, as of the last reload.
#[derive(Debug)]
pub(super) struct DriverSources {
    by_model: RwLock<BTreeMap<DriverModel, Arc<DriverSource>>>,
    /// The folder with a folder for each storage.
    pub(super) state_dir: PathBuf,
    pub(super) processes: DriverProcesses,
    /// Limits of a batch.
    pub(super) limits: BodyLimits,
}

impl DriverSources {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            by_model: RwLock::default(),
            state_dir: config.state_dir.join("drivers"),
            processes: DriverProcesses::default(),
            limits: BodyLimits::from(&config.api),
        }
    }

    pub(super) fn source(&self, model: &DriverModel) -> Option<Arc<DriverSource>> {
        let by_model = self.by_model.read().unwrap_or_else(PoisonError::into_inner);
        by_model.get(model).cloned()
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<DriverModel, Arc<DriverSource>>> {
        self.by_model
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl DriverSource {
    /// Whether it is the same plugin, with the same manifest and the same limits.
    pub(super) fn is(&self, other: &Self) -> bool {
        let path = |source: &Self| source.process.plugin.inspection().path.clone();
        let is_same_plugin = (&self.sha256, path(self)) == (&other.sha256, path(other));
        is_same_plugin && self.process.limits == other.process.limits
    }
}
