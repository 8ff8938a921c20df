//! The built library: the conformance suite, the requests and the outcomes that responses
//! become, and a real InfluxDB.
//!
//! `make setup` brings InfluxDB. Where it is missing, its tests fail in CI and print that they
//! are skipped elsewhere.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod influxdb;
mod requests;

use delfin_plugin_api::testkit::{TestReceiver, TestResponse, check_workers, conformance};
use serde_json::json;

const PERFORMANCE: &str = "PerformanceExporterInfluxDB";
const ALERTS: &str = "AlertExporterInfluxDB";

#[test]
fn conforms() {
    let receiver = TestReceiver::start(|_| TestResponse::new(204));
    conformance(|exporter, _| match exporter {
        PERFORMANCE => json!({
            "url": receiver.url(""),
            "database": "d",
            "retention_policy": "r",
            "username": "u",
            "password": "p",
            "compression": "none",
        }),
        _ => json!({
            "url": receiver.url(""),
            "bucket": "b",
            "org": "o",
            "token": "t",
            "headers": { "X-Tenant": "7" },
            "compression": "gzip",
        }),
    });
}

#[test]
fn storages_are_sent_at_the_same_time_each_in_its_order() {
    check_workers(
        PERFORMANCE,
        12_000,
        |_| TestResponse::new(204),
        |receiver| json!({ "url": receiver.url(""), "bucket": "b", "compression": "none" }),
    );
}
