//! The built library: the conformance suite, its page and its answers to an
//! Alertmanager's, and real servers at the other end.
//!
//! `make setup` brings Prometheus and Alertmanager. Where they are
//! missing, CI fails, and elsewhere their tests say so and do nothing.
#![expect(
    clippy::unwrap_used,
    reason = "a test whose surroundings are not as they should be has failed"
)]

mod alertmanager;
mod answers;
mod fake;
mod page;
mod prometheus;
mod support;

use serde_json::json;

#[test]
fn conforms() {
    let receiver = fake::Receiver::start(|_| fake::Answer::ok());
    delfin_plugin_api::testkit::conformance(|exporter, _| match exporter {
        // A port that was given back; each instance of the suite has its own.
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
            "urls": [receiver.url()],
            "resolve_after": "5m",
            "bearer_token": "t",
        }),
    });
}
