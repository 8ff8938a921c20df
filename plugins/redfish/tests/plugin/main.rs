//! The built library: the conformance suite, and calls with a service that is strict.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod alerts;
mod calls;
mod measurements;
mod reports;
mod resources;
mod service;

use delfin_plugin_api::testkit;
use delfin_tests::redfish::{MockService, array};
use serde_json::json;

#[test]
fn conforms() {
    let service = MockService::start(array::with_faults());
    testkit::driver_conformance(|_, _, _| service.options(json!({})));
}
