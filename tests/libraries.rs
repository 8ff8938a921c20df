//! Plugins of the C interface, in C and in Go: the host opens their libraries as those in Rust.

use std::fs;

use delfin_tests::{
    Host, Setup,
    c_plugin::CExample::{self, C, Go},
    plugin_file::constructor,
};
use serde_json::{Value, json};

/// The file exporter, and an example that writes the same rows.
const CONFIG: &str = r#"
performance_exporters = ["PerformanceExporterFile", "PerformanceExporter%Lines"]
alert_exporters = ["AlertExporterFile", "AlertExporter%Lines"]
[exporter.PerformanceExporterFile.config]
path = "@/file.jsonl"
[exporter.PerformanceExporter%Lines]
isolation = "process"
[exporter.PerformanceExporter%Lines.retry]
initial_interval = "20ms"
max_interval = "100ms"
[exporter.PerformanceExporter%Lines.config]
path = "@/later/lines.jsonl"
required_label = "resource_id"
[exporter.AlertExporterFile.config]
path = "@/file-alerts.jsonl"
[exporter.AlertExporter%Lines.config]
path = "@/alerts.jsonl"
"#;

fn config(example: CExample) -> String {
    CONFIG.replace('%', example.name())
}

fn series() -> Value {
    let texts = [
        "sda",
        "",
        "\"q\" \\",
        "line\nbreak",
        "grüße 🦀",
        "\u{1b}[31m",
    ];
    let rows = texts.iter().enumerate().map(|(row, text)| {
        let labels = json!({ "storage_id": "s1", "resource_id": text, "n": row.to_string() });
        let values = json!({ "1700000000000": 0.1, "1700000060000": -1.5e300 });
        json!({ "name": format!("iops{text}"), "labels": labels, "values": values })
    });
    let empty = json!({ "name": "e", "labels": { "resource_id": "" }, "values": {} });
    Value::from_iter(rows.chain([empty]))
}

fn alerts() -> Value {
    json!([
        { "storage_id": "s1", "alert_id": "7", "alert_name": "Link \"down\"", "severity": "Major",
          "category": "Fault", "occur_time": 1_700_000_000_000_i64, "rack": "ß" },
        { "storage_id": "s1", "alert_id": "8", "category": "Event", "occur_time": 5 },
    ])
}

fn ingest(host: &Host, kind: &str, batch: &Value) {
    let (status, receipt) = host.ingest(kind, batch);
    assert_eq!(status, 202, "{receipt}");
}

/// Creates the folder of the file that the exporters of series write.
fn create_later(setup: &Setup) {
    let created = fs::create_dir(setup.path("later"));
    created.unwrap_or_else(|error| panic!("no folder: {error}"));
}

/// The lines of a file, with series in the form of the examples.
fn rows(setup: &Setup, file: &str) -> Vec<Value> {
    let lines = setup.lines(file);
    let rows = lines.iter().map(|line| {
        let mut row: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let values = row.as_object_mut().and_then(|row| row.remove("values"));
        if let Some(values) = values.as_ref().and_then(Value::as_object) {
            let points = values.iter().map(|(time, value)| {
                let time: i64 = time.parse().unwrap_or_default();
                json!([time, value])
            });
            row["points"] = points.collect();
        }
        row
    });
    rows.collect()
}

/// Runs the conformance suite on an example.
fn conforms(setup: &Setup, library: &str) {
    let set = ["--set", "path={folder}/lines.jsonl"];
    let passed = setup.run(&[&["conformance", library][..], &set].concat());
    assert!(passed.expect_exit(0).stdout.contains("every test passed"));
    let failed = setup.run(&["conformance", library]).expect_exit(1);
    assert!(failed.stderr.contains("`path` is missing"), "{failed:?}");
}

fn delivers_refuses_and_retries(example: CExample) {
    if !example.is_available() {
        return;
    }
    let setup = Setup::new(&["file"], &config(example));
    let library = setup.build_example(example).display().to_string();
    let inspected = setup.run(&["plugins", "inspect", &library]).expect_exit(0);
    for part in [
        "c 1.0",
        "required_label = \"resource_id\"",
        "Writes series as lines",
    ] {
        assert!(inspected.stdout.contains(part), "{part}: {inspected:?}");
    }
    conforms(&setup, &library);
    let name = format!("PerformanceExporter{}Lines", example.name());
    let host = setup.start();
    ingest(&host, "performance", &series());
    ingest(&host, "alerts", &alerts());
    host.wait_for_delivered(&format!("AlertExporter{}Lines", example.name()), 2);
    host.wait_for_delivered("AlertExporterFile", 2);
    let alerts = rows(&setup, "alerts.jsonl");
    assert_eq!(alerts, rows(&setup, "file-alerts.jsonl"));

    // Rows wait while the file cannot be opened.
    host.wait_for_exporter(&name, "a failed attempt", |exporter| {
        let error = exporter["last_error"].as_str().unwrap_or_default();
        error.contains("lines.jsonl") && exporter["delivered"] == 0
    });
    create_later(&setup);
    host.wait_for_delivered(&name, 12);
    host.wait_for_delivered("PerformanceExporterFile", 12);
    assert_eq!(
        rows(&setup, "later/lines.jsonl"),
        rows(&setup, "file.jsonl")
    );

    let bare = json!({ "name": "bare", "labels": { "a": "b" }, "values": { "1700000000000": 1 } });
    let good = json!({ "name": "good", "labels": { "resource_id": "b" }, "values": { "1": 1 } });
    ingest(&host, "performance", &json!([bare, good]));
    host.wait_for_exporter(&name, "one row of each", |exporter| {
        exporter["delivered"] == 13 && exporter["dead_lettered"] == 1
    });
    let (_, stored) = host.get(&format!("/v1/dead-letters?exporter={name}"));
    let reason = stored["dead_letters"][0]["reason"].as_str();
    assert_eq!(
        reason,
        Some("the series lacks the required label"),
        "{stored}"
    );
    let page = host.text("/metrics");
    assert!(page.contains("counter=\"batches\""), "{page}");
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
}

#[test]
fn a_plugin_in_c_delivers_refuses_and_retries() {
    delivers_refuses_and_retries(C);
}

#[test]
fn a_plugin_in_go_delivers_refuses_and_retries() {
    delivers_refuses_and_retries(Go);
}

#[test]
fn settings_of_a_plugin_in_c_are_checked_and_it_runs_in_a_thread() {
    if !C.is_available() {
        return;
    }
    let wrong = config(C).replace("required_label", "required_lable");
    let setup = Setup::new(&["file"], &wrong);
    let _ = setup.build_example(C);
    let checked = setup.run(&["check"]);
    let reason = "`required_lable` is unknown (write `path` or `required_label`)";
    assert!(checked.stdout.contains(reason), "{checked:?}");
    assert!(!setup.path("later").exists());

    let threads = config(C).replace("\"process\"", "\"thread\"");
    let setup = setup.with_config(&threads);
    create_later(&setup);
    let host = setup.start();
    ingest(&host, "performance", &series());
    host.wait_for_delivered("PerformanceExporterCLines", 12);
}

#[test]
fn a_plugin_in_go_is_refused_in_a_thread() {
    if !Go.is_available() {
        return;
    }
    let threads = config(Go).replace("\"process\"", "\"thread\"");
    let setup = Setup::new(&["file"], &threads);
    let _ = setup.build_example(Go);
    let checked = setup.run(&["check"]);
    let text = checked.stdout + &checked.stderr;
    let reason = "golines.so` runs only in a process of its own, not in a thread of the host";
    assert!(text.contains(reason), "{text}");
}

#[test]
fn a_library_that_hung_once_while_it_was_opened_in_a_thread_is_opened_again() {
    let config = r#"
performance_exporters = ["PerformanceExporterCLines"]
[exporter.PerformanceExporterCLines]
isolation = "thread"
timeout = "1s"
retry = { initial_interval = "20ms", max_interval = "100ms" }
[exporter.PerformanceExporterCLines.config]
path = "@/lines.jsonl"
"#;
    if !C.is_available() {
        return;
    }
    let setup = Setup::new(&[], config);
    setup.write("hang", "");
    let path = setup.path("hang").display().to_string();
    let hang = constructor(&format!("while (access(\"{path}\", F_OK) == 0) pause();"));
    let _ = setup.build_example_with(C, &hang);
    let host = setup.start();
    let name = "PerformanceExporterCLines";
    let failed = host.exporter(name);
    let error = failed["last_error"].as_str().unwrap_or_default();
    assert_eq!(failed["state"], "failed", "{failed}");
    assert!(
        error.contains("it does not open within") && error.contains("the host tries it again"),
        "{error}"
    );
    ingest(&host, "performance", &series());
    fs::remove_file(setup.path("hang")).unwrap_or_else(|error| panic!("{error}"));
    host.wait_for("the exporter to run", || {
        let running = format!("running exporter={name}");
        host.log().contains(&running).then_some(())
    });
    host.wait_for_delivered(name, 12);
}
