//! The web page, in a real browser: `tests/ui/page.mjs` has the tests, and this starts their host.

use std::{path::Path, process::Command};

use delfin_tests::{
    CommandOutput, Setup, missing,
    receivers::{self, Postgres},
};
use serde_json::json;

/// A name and an error that would run if they were inserted as markup.
const SCRIPT: &str = "<img src=x onerror=window.attacked=1>";

const CONFIG: &str = r#"
performance_exporters = ["good", "away", "picky", "missing"]
alert_exporters = ["alerts"]
[exporter.good]
plugin = "PerformanceExporterScripted"
[exporter.good.config]
script = "@/good"
received = "@/received"
[exporter.away]
plugin = "PerformanceExporterScripted"
[exporter.away.config]
script = "@/away"
received = "@/received"
password = "SCRIPT"
[exporter.picky]
plugin = "PerformanceExporterScripted"
[exporter.picky.config]
script = "@/picky"
received = "@/received"
[exporter.missing]
plugin = "PerformanceExporterMissing"
[exporter.alerts]
plugin = "AlertExporterScripted"
[exporter.alerts.config]
script = "@/good"
received = "@/received-alerts"
[[storage]]
id = "00000000-0000-0000-0000-000000000007"
name = "SCRIPT"
vendor = "fake_storage"
model = "fake_driver"
[storage.performance]
interval = "1h"
[storage.alerts]
interval = "1h"
[storage.options]
storage_pools = 1
volumes = 2
disks = 1
"#;

/// Of a host that belongs to a cluster.
const CLUSTER: &str = r#"
performance_exporters = []
[cluster]
postgres = "postgres://127.0.0.1:PORT/postgres?user=postgres"
tls = false
member = "a"
lease = "1h"
"#;

/// Whether `scripts/ui` has installed what the tests need.
fn has_browser(modules: &Path) -> bool {
    let has_programs = ["node", "chromium"].map(|name| receivers::binary(name).is_some());
    let has_modules = modules.join("node_modules").is_dir();
    if !has_modules {
        missing("a browser", "run `scripts/ui setup`");
    }
    has_programs == [true, true] && has_modules
}

#[test]
fn the_page_shows_and_changes_what_the_api_offers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if !has_browser(&root.join("target/ui")) {
        return;
    }
    let setup = Setup::new(&["scripted"], &CONFIG.replace("SCRIPT", SCRIPT));
    setup.write("good", "deliver");
    setup.write("away", "retry");
    setup.write("picky", "reject");
    std::fs::write(setup.path("plugins/broken.so"), "no library").expect("a broken plugin");
    let host = setup.start();
    let series = ["a", SCRIPT].map(|resource| {
        json!({
            "name": "iops",
            "labels": {"storage_id": "known-from-ingest", "resource_type": "volume", "resource_id": resource, "name": resource, "unit": "IOPS"},
            "values": {"1700000000000": 1, "1700000060000": 5, "1700000120000": 2.5},
        })
    });
    for _ in 0..2 {
        let (status, receipt) = host.ingest("performance", &json!(series));
        assert_eq!(status, 202, "{receipt}");
    }
    let alert = |name: &str| {
        json!({
            "storage_id": "s1", "storage_name": SCRIPT, "alert_id": name, "alert_name": name,
            "severity": "Critical", "category": "Fault", "type": "EquipmentAlarm",
            "sequence_number": 1, "occur_time": 1_700_000_000_000_i64, "description": SCRIPT,
            "resource_type": "Storage", "location": name,
        })
    };
    let (status, receipt) = host.ingest("alerts", &json!([alert("fan"), alert(SCRIPT)]));
    assert_eq!(status, 202, "{receipt}");
    host.wait_for_exporter("away", "retrying", |exporter| {
        exporter["state"] == "retrying"
    });
    host.wait_for_exporter("picky", "dead letters", |exporter| {
        exporter["dead_lettered"].as_u64() > Some(0)
    });
    let guarded = Setup::new(&[], "performance_exporters = [\"missing\"]");
    let token = guarded.run(&["tokens", "add", "reader", "--scope", "read"]);
    let token = token.expect_exit(0).stdout;
    let guarded = guarded.start();
    let Some(database) = Postgres::start(&setup.path(""), None) else {
        return;
    };
    let member = CLUSTER.replace("PORT", &database.port().to_string());
    let member = Setup::new(&[], &member);
    let clustered = member.start();
    clustered.wait_until_ready();
    let mut node = Command::new("node");
    let output = node
        .args(["--test-reporter=spec", "tests/ui/page.mjs"])
        .current_dir(&root)
        .env("DELFIN_URL", host.url())
        .env("DELFIN_GUARDED_URL", guarded.url())
        .env("DELFIN_CLUSTER_URL", clustered.url())
        .env("DELFIN_READ_TOKEN", token.trim_end())
        .output();
    let output = output.expect("run node");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_vendored_files_are_those_of_the_recorded_version() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/ui/vendor/uplot");
    let mut command = Command::new("sha256sum");
    command
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(folder);
    let checked = CommandOutput::run(&mut command).expect_exit(0);
    assert_eq!(checked.stdout.lines().count(), 3, "{checked:?}");
}
