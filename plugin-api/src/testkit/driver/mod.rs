//! The conformance suite of drivers, in libraries and in programs.

mod connection;
mod suite;

use std::path::Path;

use delfin_plugin_loader::{self as loader, ManifestDriver};

use super::build_library;
pub use connection::{CallAnswer, DriverConnection, DriverProgram};

/// Builds the library of the crate that calls it in a test, and runs the suite on each of its
/// drivers.
///
/// `options` gets vendor and model of a driver and an empty folder, and returns the options of a
/// storage, as `rest`, `ssh` and `extra_attributes`. They must work: if they name a storage, the
/// test must run it. The suite clears no alert that the driver lists.
///
/// # Panics
///
/// A driver fails a check, or the library has no driver.
pub fn driver_conformance(options: impl Fn(&str, &str, &Path) -> serde_json::Value) {
    driver_conformance_of(&build_library(), options);
}

/// Runs the suite on each driver of a plugin: a library, or a folder with a program.
///
/// # Panics
///
/// The loader refuses the plugin, or a driver fails a check.
pub fn driver_conformance_of(
    plugin: &Path,
    options: impl Fn(&str, &str, &Path) -> serde_json::Value,
) {
    let refused = |error: loader::PluginError| -> ! { panic!("{error}") };
    let inspection = loader::inspect(plugin).unwrap_or_else(|error| refused(error));
    loader::check(&inspection).unwrap_or_else(|error| refused(error));
    if let Some(unknown) = inspection.unknown_keys() {
        panic!("{unknown}");
    }
    let drivers: &[ManifestDriver] = &inspection.manifest.drivers;
    assert!(!drivers.is_empty(), "`{}` has no driver", plugin.display());
    let program = DriverProgram::new(&inspection).unwrap_or_else(|error| refused(error));
    for driver in drivers {
        let options = |folder: &Path| options(&driver.vendor, &driver.model, folder);
        suite::run(&program, driver, &options);
    }
}
