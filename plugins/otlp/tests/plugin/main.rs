//! The built library: the conformance suite, the requests and the outcomes that responses
//! become, and the receiver of the OpenTelemetry Collector.
//!
//! `make setup` builds the receiver. Where it is missing, its tests fail in CI and print that they
//! are skipped elsewhere.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod collector;
mod requests;

use delfin_plugin_api::testkit::{TestReceiver, TestResponse, check_workers, conformance};
use serde_json::json;

const PERFORMANCE: &str = "PerformanceExporterOtlp";
const ALERTS: &str = "AlertExporterOtlp";

#[test]
fn conforms() {
    let receiver = TestReceiver::start(|_| TestResponse::new(200));
    conformance(|_, _| {
        json!({
            "url": receiver.url("/otlp"),
            "compression": "none",
            "bearer_token": "t",
            "headers": { "X-Tenant": "7" },
        })
    });
}

#[test]
fn storages_are_sent_at_the_same_time_each_in_its_order() {
    check_workers(
        PERFORMANCE,
        10_000,
        |_| TestResponse::new(200),
        |receiver| json!({ "url": receiver.url(""), "compression": "none" }),
    );
}
