//! The built library: the conformance suite, and services that are as strict as their documentation.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod outcomes;
mod services;

use delfin_plugin_api::testkit::conformance;

use crate::services::{SERVICES, Service};

#[test]
fn conforms() {
    let services = SERVICES.map(Service::start);
    conformance(|exporter, _| {
        let service = services.iter().find(|service| service.exporter == exporter);
        let mut settings = service.unwrap().settings();
        settings["summary"] = "{severity}: {alert_name}".into();
        settings
    });
}
