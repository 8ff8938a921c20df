//! The built library: the conformance suite, and calls with a service that is strict.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod alerts;
mod array;
mod calls;
mod measurements;
mod mock;
mod resources;
mod service;

use delfin_plugin_api::testkit;
use serde_json::json;

use crate::mock::MockService;

#[test]
fn conforms() {
    let service = MockService::start(array::with_faults());
    testkit::driver_conformance(|_, _, _| service.options(json!({})));
}
