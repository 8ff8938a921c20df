//! The built library: the conformance suite, the requests and the outcomes that responses
//! become, and a real InfluxDB, QuestDB and VictoriaMetrics.
//!
//! `make setup` brings the servers. Where one is missing, its tests fail in CI and print that they
//! are skipped elsewhere.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod influxdb;
mod questdb;
mod requests;
mod victoria_metrics;

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, NewAlert, PerformanceBatch, PerformanceBatchBuilder,
    testkit::{TestReceiver, TestResponse, check_workers, conformance},
};
use serde_json::json;

/// An alert of the storage `s`, and one with line ends, quotes and backslashes in its text.
fn alerts() -> AlertBatch {
    let mut alerts = AlertBatchBuilder::new();
    for (name, description) in [("plain", "text"), ("awkward", AWKWARD)] {
        alerts.alert(NewAlert {
            occur_time: 1_700_000_000_000,
            texts: &[
                ("storage_id", "s"),
                ("alert_name", name),
                ("description", description),
            ],
        });
    }
    alerts.build()
}

/// One point at each of these times, in milliseconds since the Unix epoch, with an awkward tag.
fn points(times: std::ops::Range<i64>) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    let labels = [("resource_type", "disk"), ("resource_id", AWKWARD)];
    let points = times.map(|time| (1_700_000_000_000 + time, time as f64));
    batch.series("iops", labels, points).unwrap();
    batch.build()
}

const AWKWARD: &str = "say \"no\" \\ line\nbreak 🦀, C:\\dir\\";
/// The same as a tag, as the README says.
const AWKWARD_TAG: &str = "say \"no\" / line\\nbreak 🦀, C:\\dir/";
const PERFORMANCE: &str = "PerformanceExporterInfluxDB";
const ALERTS: &str = "AlertExporterInfluxDB";

#[test]
fn conforms() {
    let receiver = TestReceiver::start(|_| TestResponse::new(204));
    conformance(|exporter, _| match exporter {
        PERFORMANCE => json!({
            "url": receiver.url(""),
            "database": "d",
            "retention_policy": "r",
            "username": "u",
            "password": "p",
            "compression": "none",
        }),
        _ => json!({
            "url": receiver.url(""),
            "bucket": "b",
            "org": "o",
            "token": "t",
            "headers": { "X-Tenant": "7" },
            "compression": "gzip",
        }),
    });
}

#[test]
fn storages_are_sent_at_the_same_time_each_in_its_order() {
    check_workers(
        PERFORMANCE,
        12_000,
        |_| TestResponse::new(204),
        |receiver| json!({ "url": receiver.url(""), "bucket": "b", "compression": "none" }),
    );
}
