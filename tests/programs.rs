//! Plugins that are folders: the host runs their program and speaks the protocol with it.

use std::{fs, path::Path};

use delfin_tests::{
    Host, Setup,
    plugin_folder::{example, has_python},
    wait_for,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The file exporter, and the same in Python through both transports.
const THREE: &str = r#"
performance_exporters = ["PerformanceExporterFile", "Socket", "Stdio"]
alert_exporters = ["AlertExporterFile", "AlertExporterLines"]
[exporter.PerformanceExporterFile.config]
path = "@/file.jsonl"
[exporter.Socket]
plugin = "PerformanceExporterLines"
library = "lines.plugin"
[exporter.Socket.config]
path = "@/socket.jsonl"
[exporter.Stdio]
plugin = "PerformanceExporterLines"
library = "stdio.plugin"
[exporter.Stdio.config]
path = "@/stdio.jsonl"
[exporter.AlertExporterFile.config]
path = "@/file-alerts.jsonl"
[exporter.AlertExporterLines]
library = "lines.plugin"
[exporter.AlertExporterLines.config]
path = "@/alerts.jsonl"
"#;

const LINES: &str = r#"
performance_exporters = ["PerformanceExporterLines"]
[exporter.PerformanceExporterLines]
isolation = "process"
[exporter.PerformanceExporterLines.limits]
open_files = 99
[exporter.PerformanceExporterLines.retry]
initial_interval = "20ms"
max_interval = "100ms"
[exporter.PerformanceExporterLines.config]
path = "@/out.jsonl"
required_label = "resource_id"
"#;

const NAME: &str = "PerformanceExporterLines";

fn lines_setup(config: &str) -> Setup {
    let setup = Setup::new(&["file"], config);
    setup.install(&example("lines"), "lines.plugin");
    setup
}

/// Series with texts that are hard to escape.
fn series() -> Value {
    let texts = [
        "sda",
        "",
        "\"q\" \\",
        "line\nbreak",
        "grüße 数据 🦀",
        "\u{1b}[31m",
    ];
    let rows = texts.iter().enumerate().map(|(row, text)| {
        let labels = json!({ "storage_id": "s1", "resource_id": text, "n": row.to_string() });
        let values =
            json!({ "1700000000000": 0.1, "1700000060000": -1.5e300, "1700000120000": row });
        json!({ "name": format!("iops{text}"), "labels": labels, "values": values })
    });
    let empty = json!({ "name": "empty", "labels": {}, "values": {} });
    Value::from_iter(rows.chain([empty]))
}

fn alerts() -> Value {
    json!([
        { "storage_id": "s1", "alert_id": "7", "alert_name": "Link \"down\"", "severity": "Major",
          "category": "Fault", "occur_time": 1_700_000_000_000_i64, "rack": "ß" },
        { "storage_id": "s1", "alert_id": "8", "category": "Event" },
    ])
}

fn ingest(host: &Host, kind: &str, batch: &Value) {
    let (status, receipt) = host.ingest(kind, batch);
    assert_eq!(status, 202, "{receipt}");
    assert!(receipt["rejected_items"].is_null(), "{receipt}");
}

/// The process of an exporter.
fn process(host: &Host) -> i32 {
    let exporter = host.wait_for_exporter(NAME, "a process", |exporter| {
        exporter["pid"].is_i64() && exporter["state"] == "running"
    });
    let pid = exporter["pid"].as_i64().and_then(|pid| pid.try_into().ok());
    pid.unwrap_or_else(|| panic!("no process: {exporter}"))
}

fn exists(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn rows_arrive_as_at_the_file_exporter_through_both_transports() {
    if !has_python() {
        return;
    }
    let setup = lines_setup(THREE);
    let stdio = setup.install(&example("lines"), "stdio.plugin");
    let manifest = stdio.join("plugin.toml");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    fs::write(&manifest, format!("transport = \"stdio\"\n{text}")).expect("a manifest");
    let host = setup.start();
    for _ in 0..3 {
        ingest(&host, "performance", &series());
        ingest(&host, "alerts", &alerts());
    }
    for name in ["PerformanceExporterFile", "Socket", "Stdio"] {
        host.wait_for_delivered(name, 3 * 18);
    }
    for name in ["AlertExporterFile", "AlertExporterLines"] {
        host.wait_for_delivered(name, 6);
    }
    let expected = setup.json_lines("file.jsonl");
    assert_eq!(expected.len(), 21);
    assert_eq!(setup.json_lines("socket.jsonl"), expected);
    assert_eq!(setup.json_lines("stdio.jsonl"), expected);
    assert_eq!(
        setup.json_lines("alerts.jsonl"),
        setup.json_lines("file-alerts.jsonl")
    );
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
    assert!(!log.contains("while exiting"), "{log}");
}

#[test]
fn a_program_is_confined_replaced_when_it_ends_and_ends_with_the_host() {
    if !has_python() {
        return;
    }
    let setup = lines_setup(LINES).with_env("SECRET_OF_THE_HOST", "1");
    let host = setup.start();
    ingest(&host, "performance", &series());
    host.wait_for_exporter(NAME, "delivered", |exporter| exporter["pending"] == 0);
    let first = process(&host);
    let proc = |file: &str| fs::read(format!("/proc/{first}/{file}")).expect("a process");
    let environment = String::from_utf8_lossy(&proc("environ")).into_owned();
    assert!(environment.contains("PATH="), "{environment}");
    assert!(!environment.contains("SECRET_OF_THE_HOST"), "{environment}");
    let limits = String::from_utf8_lossy(&proc("limits")).into_owned();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    assert!(files.is_some_and(|line| line.contains(" 99 ")), "{limits}");

    let pid = Pid::from_raw(first).expect("a process id");
    kill_process(pid, Signal::KILL).expect("the process");
    ingest(&host, "performance", &series());
    host.wait_for_exporter(NAME, "delivered", |exporter| {
        exporter["pending"] == 0 && exporter["delivered"] == 36
    });
    let second = process(&host);
    assert_ne!(first, second);
    host.kill();
    wait_for("the program to end", || (!exists(second)).then_some(()));
}

#[test]
fn rows_that_the_program_names_become_dead_letters_with_their_reason() {
    if !has_python() {
        return;
    }
    let setup = lines_setup(LINES);
    let host = setup.start();
    let bare = json!({ "name": "bare", "labels": { "a": "b" }, "values": { "1700000000000": 1 } });
    let good = series();
    let batch = Value::from_iter(
        [bare]
            .into_iter()
            .chain(good.as_array().cloned().unwrap_or_default()),
    );
    ingest(&host, "performance", &batch);
    host.wait_for_exporter(NAME, "delivered", |exporter| {
        exporter["delivered"] == 18 && exporter["dead_lettered"] == 1
    });
    let (_, stored) = host.get(&format!("/v1/dead-letters?exporter={NAME}"));
    let reason = stored["dead_letters"][0]["reason"]
        .as_str()
        .unwrap_or_default();
    assert!(reason.contains("it has no label `resource_id`"), "{stored}");
    assert_eq!(setup.json_lines("out.jsonl").len(), 6);
}

#[test]
fn mistakes_are_found_by_check_and_by_a_reload_before_the_old_program_ends() {
    if !has_python() {
        return;
    }
    let setup = lines_setup(&LINES.replace("required_label =", "required_lable ="));
    let wrong = "refused its config: `required_lable` is not a setting \
        (known settings: `path`, `required_label`)";
    let checked = setup.run(&["check"]);
    assert!(checked.stdout.contains(wrong), "{checked:?}");

    let setup = setup.with_config(LINES);
    let host = setup.start();
    let running = process(&host);
    let setup = setup.with_config(&LINES.replace("path =", "pth ="));
    let reloaded = setup.run(&["reload", "--host", host.url()]);
    let text = reloaded.stdout + &reloaded.stderr;
    assert!(
        text.contains("`path` is missing (name the file to append to)"),
        "{text}"
    );
    assert_eq!(process(&host), running);

    let thread = setup.with_config(&LINES.replace("\"process\"", "\"thread\""));
    let checked = thread.run(&["check"]);
    let text = checked.stdout + &checked.stderr;
    let reason = "runs only in a process of its own, not in a thread of the host";
    assert!(text.contains(reason), "{text}");
}

#[test]
fn a_program_is_not_run_by_lists_and_its_end_is_in_the_last_error() {
    const MANIFEST: &str = r#"
name = "tiny"
version = "1.0.0"
vendor = "Acme"
command = ["./program", "an argument"]
[[exporters]]
name = "Tiny"
kind = "performance"
description = "Does nothing"
"#;
    let setup = Setup::new(&[], "performance_exporters = [\"Tiny\"]\n");
    let marker = setup.path("marker");
    let program = format!(
        "#!/bin/sh\necho \"in $PWD with $1\"\ntouch '{}'\nexit 5\n",
        marker.display()
    );
    let folder = setup.install_program("tiny.plugin", MANIFEST, &program);
    let listed = setup.run(&["plugins", "list"]).expect_exit(0);
    assert!(listed.stdout.contains("tiny.plugin"), "{listed:?}");
    let inspect = ["plugins", "inspect", &folder.display().to_string()];
    let inspected = setup.run(&inspect).expect_exit(0);
    for part in ["tiny 1.0.0", "Acme", "./program an argument", "protocol"] {
        assert!(inspected.stdout.contains(part), "{part}: {inspected:?}");
    }
    assert!(!marker.exists());

    let host = setup.start();
    host.wait_for_exporter("Tiny", "an error", |exporter| {
        let error = exporter["last_error"].as_str();
        error.is_some_and(|error| error.contains("ended with exit code 5"))
    });
    let printed = format!("in {} with an argument", folder.display());
    host.wait_for_log(&printed);
    // What runs is what was inspected.
    fs::write(folder.join("program"), "#!/bin/sh\nexit 6\n").expect("a program");
    host.wait_for_exporter("Tiny", "another error", |exporter| {
        let error = exporter["last_error"].as_str();
        error.is_some_and(|error| error.contains("changed since it was inspected"))
    });
    fs::write(folder.join("program"), program).expect("a program");
    let try_it = setup.run(&["try", &folder.display().to_string()]);
    assert!((try_it.stdout + &try_it.stderr).contains("exit code 5"));
}
