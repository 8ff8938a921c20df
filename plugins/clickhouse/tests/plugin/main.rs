//! The built library: the conformance suite, the requests and the outcomes that responses become,
//! and the real engine of ClickHouse.
//!
//! `make setup` brings the engine. Where it is missing, its tests fail in CI and print that they are
//! skipped elsewhere.

mod clickhouse;
mod requests;

use delfin_plugin_api::testkit::{
    TestReceiver, TestRequest, TestResponse, check_workers, conformance,
};
use serde_json::json;

const PERFORMANCE: &str = "PerformanceExporterClickHouse";
const ALERTS: &str = "AlertExporterClickHouse";

/// The answer of a server that inserts everything.
fn inserts(request: &TestRequest) -> TestResponse {
    TestResponse::new(200).body(if request.body == b"SELECT 1" {
        "1\n"
    } else {
        ""
    })
}

#[test]
fn conforms() {
    let receiver = TestReceiver::start(inserts);
    conformance(|_, _| {
        json!({
            "url": receiver.url(""),
            "database": "storage",
            "table": "t",
            "create_table": true,
            "username": "u",
            "password": "p",
            "compression": "none",
        })
    });
}

#[test]
fn storages_are_sent_at_the_same_time_each_in_its_order() {
    check_workers(
        PERFORMANCE,
        100_000,
        inserts,
        |receiver| json!({ "url": receiver.url(""), "create_table": false, "compression": "none" }),
    );
}
