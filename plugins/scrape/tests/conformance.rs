//! The tests that every driver must pass.

use delfin_plugin_api::testkit::{self, TestReceiver, TestResponse};
use serde_json::json;

const PAGE: &str = include_str!("pages/pure_flasharray.prom");

#[test]
fn conforms() {
    let exporter = TestReceiver::start(|_| {
        TestResponse::new(200)
            .header(
                "content-type",
                "application/openmetrics-text; version=1.0.0",
            )
            .body(PAGE)
    });
    let url = exporter.url("/metrics");
    testkit::driver_conformance(
        |_vendor, _model, _folder| json!({ "extra_attributes": { "url": url, "mapping": "pure_flasharray" } }),
    );
}
