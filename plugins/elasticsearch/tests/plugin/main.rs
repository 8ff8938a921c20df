//! The built library: the conformance suite, the requests and the outcomes that responses become,
//! and a real OpenSearch.
//!
//! `make setup` brings OpenSearch. Where it is missing, its tests fail in CI and print that they are
//! skipped elsewhere.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod opensearch;
mod requests;

use delfin_plugin_api::testkit::{
    TestReceiver, TestRequest, TestResponse, check_workers, conformance,
};
use serde_json::json;

const PERFORMANCE: &str = "PerformanceExporterElasticsearch";
const ALERTS: &str = "AlertExporterElasticsearch";

/// The answer of a node that stores everything.
fn stores(request: &TestRequest) -> TestResponse {
    let response = TestResponse::new(200).header("content-type", "application/json");
    match request.method.as_str() {
        "PUT" => response.body(r#"{"acknowledged":true}"#),
        "POST" => response.body(r#"{"errors":false}"#),
        _ => response.body(r#"{"version":{"number":"9.0.0"}}"#),
    }
}

#[test]
fn conforms() {
    let receiver = TestReceiver::start(stores);
    conformance(|_, _| {
        json!({
            "url": receiver.url(""),
            "data_stream": "points",
            "template": true,
            "api_key": "k",
            "compression": "none",
        })
    });
}

#[test]
fn storages_are_sent_at_the_same_time_each_in_its_order() {
    check_workers(
        PERFORMANCE,
        12_000,
        stores,
        |receiver| json!({ "url": receiver.url(""), "compression": "none" }),
    );
}
