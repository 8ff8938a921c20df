//! The built library with a real Mosquitto: the conformance suite, and what subscribers get.
//!
//! `make setup` brings Mosquitto. Where it is missing, the tests fail in CI and print that they
//! are skipped elsewhere.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod outcomes;
mod support;
mod topics;

use delfin_plugin_api::testkit::conformance;
use serde_json::json;

use crate::support::Broker;

const PERFORMANCE: &str = "PerformanceExporterMqtt";
const ALERTS: &str = "AlertExporterMqtt";

#[test]
fn conforms() {
    let Some(broker) = Broker::start("") else {
        return;
    };
    conformance(|exporter, _| {
        json!({
            "address": broker.address(),
            "topic": "delfin/{storage_id}",
            "retain": true,
            "message_format": if exporter == PERFORMANCE { "arrow" } else { "json" },
            "message_rows": 100,
            "message_bytes": 200_000,
            "tls": false,
        })
    });
}
