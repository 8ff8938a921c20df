//! The built library: the conformance suite, files in a folder and in a real server of S3, which
//! pyarrow reads, and the outcomes that errors become.
//!
//! `make setup` brings both. Where one is missing, its tests fail in CI and print that they are
//! skipped elsewhere.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod files;
mod requests;

use delfin_plugin_api::testkit::{TestReceiver, TestResponse, conformance};
use serde_json::{Value, json};

const PERFORMANCE: &str = "PerformanceExporterParquet";
const ALERTS: &str = "AlertExporterParquet";

/// The settings for a bucket of a server.
fn bucket(url: &str) -> Value {
    json!({
        "bucket": "arrays",
        "url": url,
        "access_key_id": "delfin",
        "secret_access_key": "delfin-secret",
    })
}

/// The response of S3 that has stored an object.
fn stored() -> TestResponse {
    TestResponse::new(200).header("etag", "\"1\"")
}

#[test]
fn conforms() {
    let receiver = TestReceiver::start(|_| stored());
    conformance(|_, _| {
        let mut settings = bucket(&receiver.url(""));
        settings["prefix"] = json!("a/b");
        settings["region"] = json!("eu-central-1");
        settings
    });
}
