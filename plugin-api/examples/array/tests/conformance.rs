//! The tests that every driver must pass.

use std::fs;

use delfin_plugin_api::testkit;
use serde_json::json;

#[test]
fn conforms() {
    testkit::driver_conformance(|_vendor, _model, folder| {
        let file = folder.join("array.json");
        let content = json!({
            "name": "array-1",
            "serial_number": "SN-0001",
            "volumes": [{"id": "v1", "name": "volume 1", "iops": 17.0}],
            "alerts": [{"id": 7, "name": "Fan failed", "time_ms": 1_700_000_000_000_i64}],
        });
        fs::write(&file, content.to_string()).expect("the file");
        json!({ "extra_attributes": { "file": file } })
    });
}
