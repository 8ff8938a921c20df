//! The drivers that plugins offer, in the registry of all drivers.

use std::{sync::Arc, time::Duration};

use super::{
    instance::PluginDriver,
    processes::DriverProcesses,
    sources::{DriverModel, DriverSources, FoundDrivers},
};
use crate::{
    collect::{Driver, DriverError, DriverRegistry, DriverTarget},
    config::Config,
};

/// All drivers of the host: its own, and those of plugins. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Drivers {
    registry: DriverRegistry,
    sources: Arc<DriverSources>,
}

impl Drivers {
    /// The drivers of the host alone.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            registry: DriverRegistry::default(),
            sources: Arc::new(DriverSources::new(config)),
        }
    }

    /// The drivers by vendor and model. It follows every [`update`](Self::update).
    #[must_use]
    pub fn registry(&self) -> &DriverRegistry {
        &self.registry
    }

    /// The processes of storages whose driver is a plugin.
    #[must_use]
    pub fn processes(&self) -> &DriverProcesses {
        &self.sources.processes
    }

    /// Uses the drivers that were found from now on. A storage whose driver or whose
    /// limits have changed gets a new process at its next call.
    pub fn update(&self, found: FoundDrivers) {
        for refused in found.refused {
            log::warn!("{refused}");
        }
        let mut current = self.sources.write();
        current.limits = found.limits;
        for model in current
            .by_model
            .keys()
            .filter(|model| !found.sources.contains_key(model))
        {
            self.registry.remove(&model.vendor, &model.model);
        }
        let mut before = std::mem::take(&mut current.by_model);
        for (model, source) in found.sources {
            let same = before.remove(&model).filter(|before| before.is(&source));
            let source = same.unwrap_or_else(|| Arc::new(source));
            self.register(&model, source.interval);
            current.by_model.insert(model, source);
        }
    }

    fn register(&self, model: &DriverModel, interval: Option<Duration>) {
        let (sources, made) = (Arc::clone(&self.sources), model.clone());
        let factory = move |target: &DriverTarget<'_>| -> Result<Box<dyn Driver>, DriverError> {
            let driver = PluginDriver::new(made.clone(), Arc::clone(&sources), target)?;
            Ok(Box::new(driver))
        };
        self.registry
            .add_with_interval(&model.vendor, &model.model, interval, factory);
    }
}
