//! The built library: the conformance suite, the outcomes over TCP and UDP, and a real
//! rsyslog.
//!
//! `make setup` brings rsyslog. Where it is missing, its tests fail in CI and print that they
//! are skipped elsewhere.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod outcomes;
mod rsyslog;
mod support;

use delfin_plugin_api::testkit::conformance;
use serde_json::json;

const ALERTS: &str = "AlertExporterSyslog";

#[test]
fn conforms() {
    let port = support::reader();
    conformance(|_, _| {
        json!({
            "address": format!("localhost:{port}"),
            "transport": "tcp",
            "facility": "daemon",
            "confirm_by_close": true,
            "framing": "newline",
            "max_message_bytes": "8KiB",
            "enterprise_number": 1,
        })
    });
}
