//! The drivers that plugins offer, in the registry of all drivers.

use std::sync::Arc;

use super::{
    instance::PluginDriver,
    sources::{DriverModel, DriverSources, FoundDrivers},
};
use crate::{collect::DriverRegistry, config::Config};

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
