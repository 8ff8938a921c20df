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
    let receiver = TestReceiver::start(|_| {
        let response = TestResponse::new(202).header("content-type", "application/json");
        response.body(r#"{"batch_id":"b"}"#)
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
