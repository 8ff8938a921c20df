//! The drivers there are, by the vendor and model that a storage is declared with.

mod discreet;
pub mod fake;
pub mod linux;

use std::{collections::BTreeMap, fmt, sync::Arc};

use self::discreet::{Discreet, Secrets};
use super::driver::{Driver, DriverError, Options};

/// Makes a driver for the storage of that id, or says what is wrong with its options.
pub type Factory =
    Arc<dyn Fn(&str, &Options) -> Result<Box<dyn Driver>, DriverError> + Send + Sync>;

/// Which driver is for which vendor and model.
#[derive(Clone)]
pub struct Registry {
    factories: BTreeMap<(String, String), Factory>,
}

/// There is no driver for that vendor and model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no driver for vendor `{vendor}`, model `{model}` (there is {known})")]
pub struct UnknownDriver {
    /// The vendor that was asked for.
    pub vendor: String,
    /// The model that was asked for.
    pub model: String,
    /// The drivers there are, as text.
    pub known: String,
}

impl Default for Registry {
    /// The drivers that the host brings along.
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

impl Registry {
    /// No driver at all.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            factories: BTreeMap::new(),
        }
    }

    /// Adds a driver, in the place of one of the same vendor and model.
    pub fn add(
        &mut self,
        vendor: &str,
        model: &str,
        factory: impl Fn(&str, &Options) -> Result<Box<dyn Driver>, DriverError> + Send + Sync + 'static,
    ) {
        let key = (vendor.to_owned(), model.to_owned());
        let discreet = move |id: &str, options: &Options| -> Result<Box<dyn Driver>, DriverError> {
            let secrets = Secrets::of(options);
            match factory(id, options) {
                Ok(driver) => Ok(Box::new(Discreet { driver, secrets })),
                Err(error) => Err(secrets.kept(error)),
            }
        };
        self.factories.insert(key, Arc::new(discreet));
    }

    /// What makes drivers for that vendor and model.
    ///
    /// # Errors
    ///
    /// There is none; the error says which there are.
    pub fn factory(&self, vendor: &str, model: &str) -> Result<Factory, UnknownDriver> {
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

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.factories.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_driver_is_told_which_there_are() {
        let error = Registry::default().factory("linux", "hots").err().unwrap();
        assert_eq!(
            error.to_string(),
            "no driver for vendor `linux`, model `hots` (there is `fake_storage` `fake_driver`, `linux` `host`)"
        );
    }

    #[test]
    fn the_linux_driver_needs_no_options() {
        let factory = Registry::default().factory("linux", "host").unwrap();
        assert!(factory("id", &Options::new()).is_ok());
    }
}
