//! The built library: the conformance suite, and the requests and outcomes with a collector that is
//! as strict as the documentation of Splunk.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod collector;
mod outcomes;

use delfin_plugin_api::testkit::{
    TestReceiver, TestRequest, TestResponse, check_workers, conformance,
};
use serde_json::json;

const PERFORMANCE: &str = "PerformanceExporterSplunk";
const ALERTS: &str = "AlertExporterSplunk";

/// The answer of a collector that keeps nothing, because the batches of the suite are large.
fn indexes(request: &TestRequest) -> TestResponse {
    let body = if request.path.contains("/ack?") {
        r#"{"acks":{"0":true}}"#
    } else {
        r#"{"text":"Success","code":0,"ackId":0}"#
    };
    TestResponse::new(200)
        .header("content-type", "application/json")
        .body(body)
}

#[test]
fn conforms() {
    let receiver = TestReceiver::start(indexes);
    conformance(|_, _| {
        json!({
            "url": receiver.url(""),
            "token": "t",
            "index": "storage",
            "compression": "none",
            "acknowledgement_timeout": "1m",
        })
    });
}

#[test]
fn storages_are_sent_at_the_same_time_each_in_its_order() {
    check_workers(
        PERFORMANCE,
        10_000,
        indexes,
        |receiver| json!({ "url": receiver.url(""), "token": "t", "compression": "none" }),
    );
}
