//! The built library: the conformance suite, the requests and the outcomes that responses become,
//! and a real Icinga.
//!
//! `make setup` brings Icinga. Where it is missing, its test fails in CI and prints that it is
//! skipped elsewhere.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod icinga;
mod requests;

use delfin_plugin_api::testkit::{TestReceiver, TestRequest, TestResponse, conformance};
use serde_json::json;

const PERFORMANCE: &str = "PerformanceExporterIcinga";
const ALERTS: &str = "AlertExporterIcinga";

/// The answer of an Icinga that has every service.
fn processes(request: &TestRequest) -> TestResponse {
    let response = TestResponse::new(200).header("content-type", "application/json");
    response.body(match request.method.as_str() {
        "GET" => r#"{"results":[{"user":"u","version":"r2.14.5-1"}]}"#,
        _ => r#"{"results":[{"code":200,"status":"Successfully processed check result"}]}"#,
    })
}

#[test]
fn conforms() {
    let receiver = TestReceiver::start(processes);
    conformance(|exporter, _| {
        let mut settings = json!({
            "url": receiver.url(""),
            "username": "u",
            "password": "p",
            "host": "{storage_id}",
            "service": "delfin",
            "create": false,
            "workers": 2,
        });
        if exporter == PERFORMANCE {
            settings["label"] = json!("{name}");
        }
        settings
    });
}
