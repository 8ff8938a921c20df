//! The built library: the conformance suite, the requests and the outcomes that responses
//! become, two versions of a real Prometheus, and VictoriaMetrics.
//!
//! `make setup` brings them. Where one is missing, its tests fail in CI and print that
//! they are skipped elsewhere.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod prometheus;
mod requests;
mod victoria_metrics;

use delfin_plugin_api::testkit::{TestReceiver, TestResponse, conformance};
use serde_json::json;

const EXPORTER: &str = "PerformanceExporterPrometheusRemoteWrite";

#[test]
fn conforms() {
    // A receiver of version 1.0.
    let receiver = TestReceiver::start(|_| TestResponse::new(204));
    conformance(|_, _| {
        json!({
            "url": receiver.url("/api/v1/write"),
            "protocol": "auto",
            "workers": 3,
            "username": "u",
            "password": "p",
            "headers": { "X-Scope-OrgID": "7" },
        })
    });
}
