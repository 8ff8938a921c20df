//! With the shipped configuration, metrics of this machine's disks arrive in a file and in the log.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use delfin_tests::{CommandOutput, Host, Setup};
use serde_json::Value;

const SHIPPED: &str = include_str!("../etc/delfin/delfin.conf");

/// The plugins that `make run` builds.
fn named_plugins() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut script = Command::new("scripts/named-plugins");
    let named = script.arg("etc/delfin/delfin.conf").current_dir(root);
    let named = CommandOutput::run(named).expect_exit(0);
    named.stdout.lines().map(str::to_owned).collect()
}

/// The shipped configuration, in a folder of its own and on a free port.
fn shipped() -> Setup {
    let mut text = SHIPPED.to_owned();
    for (from, to) in [
        ("[\"target/plugins\"]", "[\"@/plugins\"]"),
        ("\"target/state", "\"@/state"),
        ("#listen = \"127.0.0.1:8190\"", "listen = \"127.0.0.1:0\""),
    ] {
        assert!(
            text.contains(from),
            "`{from}` is no more in etc/delfin/delfin.conf"
        );
        text = text.replace(from, to);
    }
    let plugins = named_plugins();
    let plugins: Vec<&str> = plugins.iter().map(String::as_str).collect();
    Setup::new(&plugins, "").with_whole_config(&text)
}

fn series(setup: &Setup) -> Vec<Value> {
    setup.json_lines("state/performance.jsonl")
}

fn has_disks() -> bool {
    let disks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let mut disks = disks.map(|disk| disk.file_name().to_string_lossy().into_owned());
    let real = ["sd", "vd", "xvd", "nvme", "hd", "mmcblk"];
    disks.any(|disk| {
        real.iter().any(|prefix| disk.starts_with(prefix))
            && Path::new("/sys/block").join(disk).join("stat").exists()
    })
}

#[test]
fn as_shipped_metrics_of_this_machine_arrive_in_the_file_and_in_the_log() {
    let setup = shipped();
    let host = setup.start();
    let series = host.wait_for("series in the file", || {
        Some(series(&setup)).filter(|series| !series.is_empty())
    });
    for one in &series {
        let labels = one["labels"].as_object().expect("labels");
        for label in ["storage_id", "name", "resource_type", "resource_id", "unit"] {
            assert!(labels.contains_key(label), "{one}");
        }
        let values = one["values"].as_object().expect("values").values();
        assert!(
            values
                .clone()
                .all(|value| value.as_f64().is_some_and(|value| value >= 0.0)),
            "{one}"
        );
    }
    let names: BTreeSet<&str> = series
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert!(names.contains("cpuUsage"), "{names:?}");
    if has_disks() {
        for name in [
            "iops",
            "readIops",
            "writeIops",
            "throughput",
            "responseTime",
        ] {
            assert!(names.contains(name), "`{name}` is not in {names:?}");
        }
        let of = |kind: &str| {
            series
                .iter()
                .any(|one| one["labels"]["resource_type"] == kind)
        };
        assert!(of("storage") && of("disk"), "{series:?}");
    }
    let logged = host.wait_for_log("cpuUsage");
    assert!(
        logged.contains(" DEBUG ") && logged.contains("exporter=PerformanceExporterExample"),
        "{logged}"
    );
    assert_healthy(&host);
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
    let loud = log
        .lines()
        .filter(|line| line.contains(" ERROR ") || line.contains("panicked"));
    assert_eq!(loud.count(), 0, "{log}");
}

fn assert_healthy(host: &Host) {
    let (status, ready) = host.get("/readyz");
    assert_eq!(
        (status, &ready["ready"]),
        (200, &Value::Bool(true)),
        "{ready}"
    );
    let (_, answer) = host.get("/v1/exporters");
    let exporters = answer["exporters"].as_array().expect("exporters");
    assert_eq!(exporters.len(), 4, "{answer}");
    for exporter in exporters {
        let name = exporter["name"].as_str().unwrap_or_default();
        host.wait_for_exporter(name, "running", |exporter| exporter["state"] == "running");
    }
    let measured = ["PerformanceExporterFile", "PerformanceExporterExample"];
    for name in measured {
        // Delivered items are counted when the cursor moves, shortly after their delivery.
        host.wait_for_exporter(name, "something delivered", |exporter| {
            exporter["delivered"].as_u64() > Some(0)
        });
    }
    let metrics = host.metrics();
    for exporter in measured {
        let delivered = metrics.of_exporter(exporter, "delfin_host_exporter_delivered_items_total");
        assert!(delivered > 0.0, "{exporter}: {metrics:?}");
        let unaccounted = metrics.of_exporter(exporter, "delfin_host_exporter_unaccounted_items");
        assert!(unaccounted == 0.0, "{exporter}: {unaccounted}");
    }
}
