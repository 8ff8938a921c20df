//! The built library: the conformance suite, the page, the outcomes of
//! Alertmanager's responses, and real servers.
//!
//! `make setup` brings Prometheus and Alertmanager. Where they are missing, their
//! tests fail in CI and print that they are skipped elsewhere.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod alertmanager;
mod page;
mod prometheus;
mod responses;
mod support;

use delfin_plugin_api::testkit::{TestReceiver, TestResponse, conformance};
use serde_json::json;

#[test]
fn conforms() {
    let receiver = TestReceiver::start(|_| TestResponse::new(200));
    conformance(|exporter, _| match exporter {
        // Port 0: several instances of the suite are open at the same time.
        "PerformanceExporterPrometheus" => json!({
            "metric_server_ip": "127.0.0.1",
            "metric_server_port": 0,
            "metric_expiration": "1h",
            "send_timestamps": true,
            "username": "u",
            "password": "p",
            "allow_unauthenticated": false,
        }),
        _ => json!({
            "urls": [receiver.url("")],
            "resolve_after": "5m",
            "bearer_token": "t",
        }),
    });
}
