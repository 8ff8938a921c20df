//! Active alerts, end to end: resent at an interval, across restarts and outages.

use std::fs;

use delfin_tests::{Host, Setup, runs_windows};
use serde_json::{Value, json};

const EXPORTER: &str = "AlertExporterResend";

/// A host with an exporter to which active alerts are resent every second.
fn setup() -> Setup {
    Setup::new(&["scripted"], &config(""))
}

fn config(more: &str) -> String {
    format!(
        "alert_exporters = [\"{EXPORTER}\"]
         [exporter.{EXPORTER}]
         resend = \"1s\"
         retry = {{ initial_interval = \"10ms\", max_interval = \"50ms\" }}
         [exporter.{EXPORTER}.config]
         script = \"@/script\"
         received = \"@/received\"
         {more}"
    )
}

/// A configuration that collects from this machine; its file systems count as nearly full from this
/// percentage on.
fn watching(full_percent: u32) -> String {
    let vendor = if runs_windows() { "windows" } else { "linux" };
    config(&format!(
        "[[storage]]
         vendor = \"{vendor}\"
         model = \"host\"
         name = \"this\"
         [storage.options]
         filesystem_full_percent = {full_percent}
         filesystem_critical_percent = 100
         [storage.alerts]
         interval = \"1s\""
    ))
}

/// Whether the root file system is on a disk. In a container it may not be.
fn has_root_disk() -> bool {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    mounts
        .lines()
        .any(|line| line.starts_with("/dev/") && line.contains(" / "))
}

/// Sends alerts to ingest: `fan:Fault`, `fan:Recovery`.
fn say(host: &Host, alerts: &[&str]) -> String {
    let alert = |log: &&str| {
        let (name, category) = log.split_once(':').unwrap_or((log, "Fault"));
        json!({
            "storage_id": "s1", "alert_id": "1", "alert_name": name, "category": category,
            "severity": "Major", "sequence_number": "7", "occur_time": 1_700_000_000_000_i64,
        })
    };
    let body: Vec<Value> = alerts.iter().map(alert).collect();
    let (status, receipt) = host.ingest("alerts", &Value::from(body));
    assert_eq!(status, 202, "{receipt}");
    receipt["batch_id"].as_str().unwrap_or_default().to_owned()
}

fn wait_for_line(host: &Host, setup: &Setup, wanted: &str) {
    host.wait_for(&format!("`{wanted}` received"), || {
        let lines = setup.lines("received");
        lines.iter().any(|line| line == wanted).then_some(())
    });
}

fn active(host: &Host) -> Vec<String> {
    let (status, answer) = host.get("/v1/alerts/active");
    assert_eq!(status, 200, "{answer}");
    let alerts = answer["alerts"].as_array().cloned().unwrap_or_default();
    let name = |alert: &Value| alert["alert_name"].as_str().unwrap_or_default().to_owned();
    alerts.iter().map(name).collect()
}

#[test]
fn active_alerts_are_resent_until_they_end_and_so_are_ends() {
    let setup = setup();
    let host = setup.start();
    say(&host, &["disk:Fault", "fan:Fault"]);
    wait_for_line(&host, &setup, "ingest disk:Fault fan:Fault");
    wait_for_line(&host, &setup, "resend disk:Fault fan:Fault");
    assert_eq!(active(&host), ["disk", "fan"]);
    say(&host, &["fan:Recovery"]);
    wait_for_line(&host, &setup, "resend disk:Fault fan:Recovery");
    assert_eq!(active(&host), ["disk"]);
    // Resent alerts do not count as accepted.
    let exporter = host.exporter(EXPORTER);
    assert_eq!(
        (&exporter["delivered"], &exporter["pending"]),
        (&json!(3), &json!(0))
    );
    let metrics = host.metrics();
    assert!(metrics.of_exporter(EXPORTER, "delfin_host_exporter_resent_items_total") >= 4.0);
    assert_eq!(
        metrics.of_exporter(EXPORTER, "delfin_host_exporter_unaccounted_items"),
        0.0
    );
}

#[test]
fn active_alerts_survive_a_crash_and_are_resent_at_once() {
    let setup = setup();
    let host = setup.start();
    say(&host, &["disk:Fault", "fan:Fault"]);
    wait_for_line(&host, &setup, "ingest disk:Fault fan:Fault");
    host.kill();
    setup.write("received", "");
    let host = setup.start();
    wait_for_line(&host, &setup, "resend disk:Fault fan:Fault");
    assert_eq!(active(&host), ["disk", "fan"]);
    let _ = host.stop();
}

#[test]
fn after_an_outage_a_receiver_gets_the_current_alerts_and_no_outdated_ones() {
    let setup = setup();
    setup.write("script", "away");
    let host = setup.start();
    say(&host, &["fan:Fault"]);
    say(&host, &["fan:Recovery"]);
    say(&host, &["disk:Fault"]);
    host.wait_for_exporter(EXPORTER, "an outage of some rounds", |exporter| {
        exporter["lag_seconds"].as_f64() > Some(2.0)
    });
    setup.write("script", "");
    let exporter = host.wait_for_exporter(EXPORTER, "nothing pending", |exporter| {
        exporter["pending"] == 0
    });
    assert_eq!(
        (&exporter["delivered"], &exporter["filtered"]),
        (&json!(2), &json!(1))
    );
    // In one request or in two: one may have begun before the next alert was there.
    let received = setup.lines("received");
    let ingested = received
        .iter()
        .filter_map(|line| line.strip_prefix("ingest "));
    let ingested: Vec<&str> = ingested.flat_map(str::split_whitespace).collect();
    assert_eq!(ingested, ["fan:Recovery", "disk:Fault"]);
    let metrics = host.metrics();
    assert_eq!(
        metrics.of_exporter(EXPORTER, "delfin_host_exporter_unaccounted_items"),
        0.0
    );
}

#[test]
fn the_hosts_own_cursor_is_not_an_exporter() {
    let setup = setup();
    let host = setup.start();
    let batch_id = say(&host, &["fan:Fault"]);
    wait_for_line(&host, &setup, "ingest fan:Fault");
    let (_, batch) = host.get(&format!("/v1/batches/{batch_id}"));
    let names: Vec<&Value> = batch["exporters"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(names.len(), 1, "{batch}");
    assert_eq!(names[0]["name"], EXPORTER);
    let (_, exporters) = host.get("/v1/exporters");
    assert_eq!(exporters["exporters"].as_array().map(Vec::len), Some(1));
    assert!(!host.text("/metrics").contains(":active"));
    let (_, log) = host.stop();
    assert!(!log.contains("no longer configured"), "{log}");
}

#[test]
fn an_alert_missing_from_a_sync_has_ended_for_every_exporter() {
    if !has_root_disk() {
        return;
    }
    let setup = Setup::new(&["scripted"], &watching(1));
    let host = setup.start();
    wait_for_start(&host, &setup, "sync file system nearly full:Fault");
    assert!(!active(&host).is_empty());
    let _ = host.stop();
    let setup = setup.with_config(&watching(100));
    let host = setup.start();
    wait_for_start(&host, &setup, "sync file system nearly full:Recovery");
    assert_eq!(active(&host), [""; 0]);
    wait_for_start(&host, &setup, "resend file system nearly full:Recovery");
}

fn wait_for_start(host: &Host, setup: &Setup, wanted: &str) {
    host.wait_for(&format!("`{wanted}…` received"), || {
        let lines = setup.lines("received");
        lines
            .iter()
            .any(|line| line.starts_with(wanted))
            .then_some(())
    });
}

/// The configuration with a storage that simulates four alerts.
fn with_storage() -> String {
    config(
        "[[storage]]
         vendor = \"fake_storage\"
         model = \"fake_driver\"
         name = \"array\"
         [storage.options]
         storage_pools = 0
         volumes = 1
         disks = 0",
    )
}

fn wait_for_active(host: &Host, alerts: &[&str]) {
    host.wait_for(&format!("{alerts:?} active"), || {
        let mut names = active(host);
        names.sort();
        (names == alerts).then_some(())
    });
}

#[test]
fn the_alerts_of_a_removed_storage_end_also_if_the_host_was_stopped() {
    let all = [
        "Communication failure",
        "Link state down",
        "Power failure",
        "SNMP connect failed",
        "fan",
    ];
    let setup = Setup::new(&["scripted"], &with_storage());
    let host = setup.start();
    say(&host, &["fan:Fault"]);
    wait_for_active(&host, &all);
    host.kill();

    let setup = setup.with_config(&config(""));
    let host = setup.start();
    // The alert of a client belongs to no storage of the host, and stays.
    wait_for_active(&host, &["fan"]);
    wait_for_end(&host, &setup);
    let _ = host.stop();
    setup.write("received", "");

    let host = setup.start();
    let storage = json!({
        "vendor": "fake_storage", "model": "fake_driver",
        "rest": {"host": "192.0.2.7", "port": 1, "username": "u", "password": "p"},
        "extra_attributes": {"storage_pools": "0", "volumes": "1", "disks": "0"}
    });
    let (status, answer) = host.send("POST", "/v1/storages", Some(&storage));
    assert_eq!(status, 201, "{answer}");
    wait_for_active(&host, &all);
    let path = format!("/v1/storages/{}", answer["id"].as_str().unwrap_or_default());
    assert_eq!(host.send("DELETE", &path, None).0, 202);
    wait_for_active(&host, &["fan"]);
    wait_for_end(&host, &setup);
}

fn wait_for_end(host: &Host, setup: &Setup) {
    host.wait_for("the recoveries", || {
        let lines = setup.lines("received");
        let ends =
            |line: &String| line.starts_with("sync") && line.contains("Power failure:Recovery");
        lines.iter().any(ends).then_some(())
    });
}
