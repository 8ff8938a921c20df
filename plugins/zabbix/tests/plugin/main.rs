//! The built library: the conformance suite, the outcomes with a receiver that speaks the protocol,
//! and a real Zabbix.
//!
//! `make setup` brings Zabbix. Where it is missing, its test fails in CI and prints that it is
//! skipped elsewhere.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod outcomes;
mod receiver;
mod zabbix;

use delfin_plugin_api::testkit::conformance;
use serde_json::json;

use crate::receiver::ValueReceiver;

const PERFORMANCE: &str = "PerformanceExporterZabbix";
const ALERTS: &str = "AlertExporterZabbix";

#[test]
fn conforms() {
    let receiver = ValueReceiver::start(|_| true);
    conformance(|exporter, _| {
        let mut settings = json!({
            "address": receiver.address(),
            "host": "delfin",
            "key": "a[{storage_id}]",
            "workers": 2,
            "compression": "zlib",
            "tls": false,
        });
        if exporter == PERFORMANCE {
            settings["discovery"] = json!(true);
            settings["discovery_key"] = json!("d");
            settings["discovery_timeout"] = json!("1m");
        }
        settings
    });
}
