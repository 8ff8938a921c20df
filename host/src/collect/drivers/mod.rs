//! The registry of drivers, by vendor and model.

pub mod fake;
pub mod linux;
mod redact;

use std::{collections::BTreeMap, fmt, sync::Arc};

use self::redact::{RedactingDriver, redact, redactor_of};
use super::driver::{Driver, DriverError, DriverOptions};

/// Creates a driver for a storage id. Fails if an option is wrong.
pub type DriverFactory =
    Arc<dyn Fn(&str, &DriverOptions) -> Result<Box<dyn Driver>, DriverError> + Send + Sync>;

/// Finds the driver of a vendor and model.
#[derive(Clone)]
pub struct DriverRegistry {
    factories: BTreeMap<(String, String), DriverFactory>,
}

/// No driver has this vendor and model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no driver for vendor `{vendor}`, model `{model}` (known drivers: {known})")]
pub struct UnknownDriver {
    pub vendor: String,
    pub model: String,
    /// All drivers, as text.
    pub known: String,
}

impl Default for DriverRegistry {
    /// The drivers of the host.
    fn default() -> Self {
        let mut registry = Self::empty();
        registry.add(linux::VENDOR, linux::MODEL, |_, options| {
            Ok(Box::new(linux::LinuxDriver::new(options)?))
        });
        registry.add(fake::VENDOR, fake::MODEL, |id, options| {
            Ok(Box::new(fake::FakeDriver::new(id, options)?))
        });
        registry
    }
}

impl DriverRegistry {
    /// A registry without drivers.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            factories: BTreeMap::new(),
        }
    }

    /// Adds a driver. Replaces one of the same vendor and model.
    pub fn add(
        &mut self,
        vendor: &str,
        model: &str,
        factory: impl Fn(&str, &DriverOptions) -> Result<Box<dyn Driver>, DriverError>
        + Send
        + Sync
        + 'static,
    ) {
        let key = (vendor.to_owned(), model.to_owned());
        let redacting =
            move |id: &str, options: &DriverOptions| -> Result<Box<dyn Driver>, DriverError> {
                let redactor = redactor_of(options);
                match factory(id, options) {
                    Ok(driver) => Ok(Box::new(RedactingDriver { driver, redactor })),
                    Err(error) => Err(redact(&redactor, error)),
                }
            };
        self.factories.insert(key, Arc::new(redacting));
    }

    /// The factory of the driver for a vendor and model.
    ///
    /// # Errors
    ///
    /// The driver does not exist; the error names the known drivers.
    pub fn factory(&self, vendor: &str, model: &str) -> Result<DriverFactory, UnknownDriver> {
        let key = (vendor.to_owned(), model.to_owned());
        self.factories
            .get(&key)
            .cloned()
            .ok_or_else(|| UnknownDriver {
                vendor: key.0,
                model: key.1,
                known: self.known(),
            })
    }

    fn known(&self) -> String {
        let names: Vec<_> = self
            .factories
            .keys()
            .map(|(vendor, model)| format!("`{vendor}` `{model}`"))
            .collect();
        if names.is_empty() {
            return "none".to_owned();
        }
        names.join(", ")
    }
}

impl fmt::Debug for DriverRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.factories.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_for_an_unknown_driver_names_the_known_ones() {
        let error = DriverRegistry::default()
            .factory("linux", "hots")
            .err()
            .unwrap();
        assert_eq!(
            error.to_string(),
            "no driver for vendor `linux`, model `hots` (known drivers: `fake_storage` `fake_driver`, `linux` `host`)"
        );
    }

    #[test]
    fn the_linux_driver_needs_no_options() {
        let factory = DriverRegistry::default().factory("linux", "host").unwrap();
        assert!(factory("id", &DriverOptions::new()).is_ok());
    }
}
