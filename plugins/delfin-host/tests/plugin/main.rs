//! The built library: the conformance suite, the requests and the outcomes that responses become,
//! and real hosts on both sides.
mod hosts;
mod requests;

use delfin_plugin_api::testkit::{TestReceiver, TestResponse, conformance};
use serde_json::json;

const PERFORMANCE: &str = "PerformanceExporterDelfinHost";
const ALERTS: &str = "AlertExporterDelfinHost";

#[test]
fn conforms() {
    let receiver = TestReceiver::start(|request| {
        let (status, body) = match request.method.as_str() {
            "GET" => (200, r#"{"ready":true}"#),
            _ => (202, r#"{"batch_id":"b"}"#),
        };
        let response = TestResponse::new(status).header("content-type", "application/json");
        response.body(body)
    });
    conformance(|_, _| {
        json!({
            "url": receiver.url(""),
            "bearer_token": "t",
            "compression": "gzip",
            "workers": 2,
        })
    });
}
