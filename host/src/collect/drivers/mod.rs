//! The registry of drivers, by vendor and model.

pub mod fake;
#[cfg(any(target_os = "linux", windows))]
pub mod machine;
mod redact;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub use self::redact::redactor_of;
use self::redact::{RedactingDriver, redact};
use super::driver::{Capabilities, Driver, DriverError, DriverTarget};

/// Creates the driver of a storage. Fails if an option is wrong.
pub type DriverFactory =
    Arc<dyn Fn(&DriverTarget<'_>) -> Result<Box<dyn Driver>, DriverError> + Send + Sync>;

/// Finds the driver of a vendor and model. Clones share their drivers.
#[derive(Clone)]
pub struct DriverRegistry {
    factories: Arc<RwLock<DriverFactories>>,
    changes: Arc<AtomicU64>,
}

type DriverFactories = BTreeMap<(String, String), KnownDriver>;

struct KnownDriver {
    factory: DriverFactory,
    interval: Option<Duration>,
    /// Those that one of its storages has reported last.
    capabilities: Mutex<Option<Arc<Capabilities>>>,
}

/// No driver has this vendor and model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no driver for vendor `{vendor}`, model `{model}` (known drivers: {known}; others are plugins in \
     `plugin_dirs`)"
)]
pub struct UnknownDriver {
    pub vendor: String,
    pub model: String,
    /// All drivers, as text.
    pub known: String,
}

impl Default for DriverRegistry {
    /// The drivers of the host.
    fn default() -> Self {
        let registry = Self::empty();
        #[cfg(any(target_os = "linux", windows))]
        registry.add(machine::VENDOR, machine::MODEL, |target| {
            Ok(Box::new(machine::MachineDriver::new(target.options)?))
        });
        registry.add(fake::VENDOR, fake::MODEL, |target| {
            let DriverTarget {
                storage_id,
                options,
                ..
            } = target;
            Ok(Box::new(fake::FakeDriver::new(storage_id, options)?))
        });
        registry
    }
}

impl DriverRegistry {
    /// A registry without drivers.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            factories: Arc::default(),
            changes: Arc::default(),
        }
    }

    /// Adds a driver. Replaces one of the same vendor and model.
    pub fn add(
        &self,
        vendor: &str,
        model: &str,
        factory: impl Fn(&DriverTarget<'_>) -> Result<Box<dyn Driver>, DriverError>
        + Send
        + Sync
        + 'static,
    ) {
        self.add_with_interval(vendor, model, None, factory);
    }

    /// Adds a driver, with the interval of measurements of its storages. Replaces one of the same
    /// vendor and model.
    pub fn add_with_interval(
        &self,
        vendor: &str,
        model: &str,
        interval: Option<Duration>,
        factory: impl Fn(&DriverTarget<'_>) -> Result<Box<dyn Driver>, DriverError>
        + Send
        + Sync
        + 'static,
    ) {
        let key = (vendor.to_owned(), model.to_owned());
        let redacting = move |target: &DriverTarget<'_>| -> Result<Box<dyn Driver>, DriverError> {
            let redactor = redactor_of(target.options);
            match factory(target) {
                Ok(driver) => Ok(Box::new(RedactingDriver { driver, redactor })),
                Err(error) => Err(redact(&redactor, error)),
            }
        };
        let factory = Arc::new(redacting);
        let driver = KnownDriver {
            factory,
            interval,
            capabilities: Mutex::default(),
        };
        self.write().insert(key, driver);
    }

    /// Removes a driver. Drivers that it has created go on.
    pub fn remove(&self, vendor: &str, model: &str) {
        self.write().remove(&(vendor.to_owned(), model.to_owned()));
    }

    /// What a storage of a driver can measure. It is mostly the same for all of them, and in memory once then.
    pub(super) fn shared(
        &self,
        vendor: &str,
        model: &str,
        capabilities: Capabilities,
    ) -> Arc<Capabilities> {
        let drivers = self.read();
        let Some(driver) = drivers.get(&(vendor.to_owned(), model.to_owned())) else {
            return Arc::new(capabilities);
        };
        let mut last = driver
            .capabilities
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(known) if **known == capabilities => Arc::clone(known),
            Some(_) | None => Arc::clone(last.insert(Arc::new(capabilities))),
        }
    }

    /// The factory of the driver for a vendor and model.
    ///
    /// # Errors
    ///
    /// The driver does not exist; the error names the known drivers.
    pub fn factory(&self, vendor: &str, model: &str) -> Result<DriverFactory, UnknownDriver> {
        let key = (vendor.to_owned(), model.to_owned());
        let factories = self.read();
        let found = factories.get(&key);
        let found = found.map(|driver| Arc::clone(&driver.factory));
        found.ok_or_else(|| UnknownDriver {
            vendor: key.0,
            model: key.1,
            known: known(&factories),
        })
    }

    /// The interval of measurements that a driver wants for its storages.
    #[must_use]
    pub fn interval(&self, vendor: &str, model: &str) -> Option<Duration> {
        let key = (vendor.to_owned(), model.to_owned());
        self.read().get(&key)?.interval
    }

    /// Whether there is a driver for a vendor and model.
    #[must_use]
    pub fn has(&self, vendor: &str, model: &str) -> bool {
        self.read()
            .contains_key(&(vendor.to_owned(), model.to_owned()))
    }

    /// How often a driver was added, replaced or removed. A driver that could not do something may be able to after
    /// a change.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    fn write(&self) -> RwLockWriteGuard<'_, DriverFactories> {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.factories
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, DriverFactories> {
        self.factories
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn known(factories: &DriverFactories) -> String {
    let names: Vec<_> = factories
        .keys()
        .map(|(vendor, model)| format!("`{vendor}` `{model}`"))
        .collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}

impl fmt::Debug for DriverRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.read().keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::driver::DriverOptions;

    #[test]
    fn the_error_for_an_unknown_driver_names_the_known_ones() {
        let error = DriverRegistry::default()
            .factory("linux", "hots")
            .err()
            .unwrap();
        assert_eq!(
            error.to_string(),
            "no driver for vendor `linux`, model `hots` (known drivers: `fake_storage` `fake_driver`, `linux` `host`; others are plugins in `plugin_dirs`)"
        );
    }

    #[test]
    fn the_interval_of_a_driver_is_known_by_vendor_and_model() {
        let registry = DriverRegistry::default();
        let interval = Some(Duration::from_secs(7));
        registry.add_with_interval("acme", "one", interval, |_| {
            Err(DriverError::Failed {
                reason: String::new(),
            })
        });
        assert_eq!(registry.interval("acme", "one"), interval);
        assert_eq!(registry.interval("acme", "two"), None);
        assert_eq!(registry.interval(machine::VENDOR, machine::MODEL), None);
    }

    #[test]
    fn what_many_storages_can_measure_is_in_memory_once() {
        let registry = DriverRegistry::default();
        let [first, second] = [(); 2]
            .map(|()| registry.shared(fake::VENDOR, fake::MODEL, Capabilities::new(true, &[])));
        assert!(Arc::ptr_eq(&first, &second));
        let other = registry.shared(fake::VENDOR, fake::MODEL, Capabilities::new(false, &[]));
        assert!(!other.is_historic && second.is_historic);
        assert!(
            registry
                .shared("acme", "one", Capabilities::new(true, &[]))
                .is_historic
        );
    }

    #[test]
    fn the_linux_driver_needs_no_options() {
        let factory = DriverRegistry::default().factory("linux", "host").unwrap();
        let target = DriverTarget {
            storage_id: "id",
            interval: None,
            options: &DriverOptions::new(),
        };
        assert!(factory(&target).is_ok());
    }
}
