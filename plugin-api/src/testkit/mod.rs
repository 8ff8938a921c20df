//! Tests that every exporter must pass, as one line in a plugin's tests.
//!
//! ```no_run
//! #[test]
//! fn conforms() {
//!     delfin_plugin_api::testkit::conformance(|_exporter, folder| {
//!         serde_json::json!({ "path": folder.join("out.jsonl") })
//!     });
//! }
//! ```
//!
//! [`conformance`] builds the library, opens it as a host does, and runs the suite on
//! each of its exporters. It panics with the name of the exporter and of the check
//! that failed.
//!
//! [`driver_conformance`] does the same for the drivers of a library.
//!
//! For tests of your own: [`Harness`] makes instances of the built library, [`TestReceiver`]
//! is a receiver that responds as the test needs it, and [`check_outcome`] compares an
//! outcome with its name. [`check_workers`] proves that requests at the same time keep the order of
//! each storage. [`DriverProgram`] makes calls to the drivers of the built library.

mod batches;
mod build;
mod documents;
#[cfg(feature = "driver")]
mod driver;
mod harness;
mod outcome;
mod receiver;
mod suite;
mod workers;

use std::path::Path;

pub use build::{build_library, c_interface_only, cargo};
#[cfg(feature = "driver")]
pub use driver::{
    CallAnswer, DriverConnection, DriverProgram, driver_conformance, driver_conformance_of,
};
pub use harness::{CallOptions, Harness, TestInstance, quiet_host};
pub use outcome::{check_outcome, outcome_name};
pub use receiver::{TestReceiver, TestRequest, TestResponse};
pub use workers::check_workers;

/// Builds the library of the crate that calls it in a test, and runs the suite on each
/// of its exporters. Also compares the settings that the exporters know with those that
/// `example.toml` shows, and with the tables in `README.md` that begin with the column `Setting`.
///
/// `settings` gets the name of an exporter and an empty folder, one for each instance,
/// and returns the settings. They must work: if they name a receiver, the test must
/// run it.
///
/// # Panics
///
/// An exporter fails a check.
pub fn conformance(settings: impl Fn(&str, &Path) -> serde_json::Value) {
    let library = build_library();
    documents::check(&Harness::open(&library), &build::crate_folder());
    conformance_of(&library, settings);
}

/// Runs the suite on each exporter of a library, which can be written in any language.
///
/// # Panics
///
/// The loader refuses the library, or an exporter fails a check.
pub fn conformance_of(library: &Path, settings: impl Fn(&str, &Path) -> serde_json::Value) {
    let harness = Harness::open(library);
    for exporter in harness.exporters() {
        suite::run(&harness, exporter, &|folder| {
            settings(&exporter.name, folder)
        });
    }
}
