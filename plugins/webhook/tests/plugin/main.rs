//! The built library: the conformance suite, its requests, and the outcomes that
//! responses become, over connections with and without TLS.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod requests;
mod responses;
mod support;
mod tls;

use delfin_plugin_api::testkit::{TestReceiver, TestResponse, check_workers, conformance};
use serde_json::json;

#[test]
fn conforms() {
    let receiver = TestReceiver::start(|_| TestResponse::new(204));
    conformance(|exporter, _| match exporter {
        "PerformanceExporterWebhook" => json!({
            "url": receiver.url("/performance"),
            "headers": { "X-Tenant": "7" },
            "username": "u",
            "password": "p",
            "compression": "none",
            "response_format": "json",
        }),
        _ => json!({
            "url": receiver.url("/alerts"),
            "bearer_token": "t",
            "hmac_secret": "s",
            "compression": "gzip",
        }),
    });
}

#[test]
fn storages_are_sent_at_the_same_time_each_in_its_order() {
    check_workers(
        "PerformanceExporterWebhook",
        1_000,
        |_| TestResponse::new(204),
        |receiver| json!({ "url": receiver.url("") }),
    );
}
