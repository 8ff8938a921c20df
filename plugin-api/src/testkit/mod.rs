//! What every exporter has to stand, as one line in a plugin's tests.
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
//! [`conformance`] builds the library, opens it as a host does, and runs each of
//! its exporters through the suite. It panics with the name of what failed.

mod batches;
mod build;
mod harness;
mod suite;

use std::path::Path;

pub use build::build_library;
pub use harness::{Call, Harness, Instance, quiet_host};

/// Builds the library of the crate whose test this is, and runs the suite over
/// each of its exporters with the settings that `settings` gives for it.
///
/// The folder is empty, and each instance of the suite gets one of its own. The
/// settings must work: where they name a receiver, the test has to run one.
///
/// # Panics
///
/// An exporter does not stand the suite.
pub fn conformance(settings: impl Fn(&str, &Path) -> serde_json::Value) {
    let harness = Harness::open(&build_library());
    for exporter in harness.exporters() {
        suite::run(&harness, exporter, &|folder| {
            settings(&exporter.name, folder)
        });
    }
}
