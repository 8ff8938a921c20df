//! A system clock that is set while the host runs: no age sees it.

use std::path::Path;

use delfin_tests::{Host, Setup, missing};
use serde_json::json;

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

const CONFIG: &str = r#"
performance_exporters = ["waits", "drops"]
alert_exporters = "AlertExporterResend"
[exporter.waits]
plugin = "PerformanceExporterScripted"
[exporter.waits.config]
script = "@/script"
[exporter.drops]
plugin = "PerformanceExporterScripted"
[exporter.drops.queue]
max_age = "1s"
[exporter.drops.config]
script = "@/script"
[exporter.AlertExporterResend.config]
script = "@/script"
"#;

/// Whether a clock can be faked. In CI it must be.
fn can_fake_time() -> bool {
    let found = Path::new(LIBRARY).exists();
    if !found {
        missing("a clock that can be set", "install the package `faketime`");
    }
    found
}

fn ingest(host: &Host) {
    let series = json!([{"name": "iops", "labels": {}, "values": {"1": 1}}]);
    assert_eq!(host.ingest("performance", &series).0, 202);
}

/// Waits until another batch was dropped for its age, so that the limits of every
/// exporter were checked.
fn wait_for_checks(host: &Host, dropped: u64) {
    ingest(host);
    host.wait_for_exporter("drops", "a drop", |exporter| exporter["dropped"] == dropped);
    ingest(host);
    host.wait_for_exporter("drops", "another drop", |exporter| {
        exporter["dropped"] == dropped + 1
    });
}

fn is_waiting(host: &Host, name: &str, pending: u64) {
    let exporter = host.wait_for_exporter(name, "a lag", |exporter| {
        exporter["lag_seconds"]
            .as_f64()
            .is_some_and(|lag| lag > 0.0)
    });
    assert_eq!(exporter["dropped"], 0, "{exporter}");
    assert_eq!(exporter["pending"], pending, "{exporter}");
    let lag = exporter["lag_seconds"].as_f64().unwrap_or_default();
    assert!(lag < 3600.0, "{exporter}");
}

#[test]
fn nothing_is_dropped_and_no_lag_is_lost_when_the_clock_is_set() {
    if !can_fake_time() {
        return;
    }
    let setup = Setup::new(&["scripted"], CONFIG);
    let clock = setup.path("clock").display().to_string();
    let setup = setup
        .with_env("LD_PRELOAD", LIBRARY)
        .with_env("FAKETIME_TIMESTAMP_FILE", &clock)
        .with_env("FAKETIME_NO_CACHE", "1")
        .with_env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .with_env("FAKETIME_DONT_RESET", "1")
        .with_env("NO_FAKE_STAT", "1");
    setup.write("script", "retry");
    setup.write("clock", "@2020-01-01 00:00:05");
    let host = setup.start();
    ingest(&host);
    let alert = json!([{"storage_id": "s", "alert_id": "1", "alert_name": "fan"}]);
    assert_eq!(host.ingest("alerts", &alert).0, 202);
    let mut dropped = 2;
    for (time, waiting) in [("@2026-11-26 22:00:00", 3), ("@2019-01-01 00:00:05", 5)] {
        setup.write("clock", time);
        host.wait_for_log("the system clock was set");
        wait_for_checks(&host, dropped);
        is_waiting(&host, "waits", waiting);
        is_waiting(&host, "AlertExporterResend", 1);
        dropped += 2;
    }
    // A machine without a battery for its clock starts in the past, and a restored one
    // in the future.
    drop(host);
    for (time, waiting) in [("@2015-01-01 00:00:05", 7), ("@2030-01-01 00:00:05", 9)] {
        setup.write("clock", time);
        let host = setup.start();
        wait_for_checks(&host, dropped);
        is_waiting(&host, "waits", waiting);
        is_waiting(&host, "AlertExporterResend", 1);
        dropped += 2;
    }
}
