//! The host and plugins for Windows, with Wine.
//!
//! `scripts/windows test` runs these tests, and those of other files that need nothing of Linux.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

mod archive;
mod plugins;

use std::{collections::BTreeSet, fs, net::TcpListener, path::Path, process::Command};

use delfin_tests::{
    FILES, Host, Receiver, Row, Setup, one_series, plugin_file, root, wait_for, windows_script,
};
use serde_json::{Value, json};

const SCRIPTED: &str = "PerformanceExporterScripted";

const SCRIPT: &str = r#"
performance_exporters = ["PerformanceExporterFile", "PerformanceExporterScripted"]
[exporter.PerformanceExporterFile.config]
path = "@/out.jsonl"
[exporter.PerformanceExporterScripted.retry]
initial_interval = "20ms"
max_interval = "100ms"
[exporter.PerformanceExporterScripted.config]
script = "@/script"
received = "@/received"
rows = "@/rows"
"#;

fn ingest(host: &Host, name: &str) {
    let (status, receipt) = host.ingest("performance", &one_series(name, 1));
    assert_eq!(status, 202, "{receipt}");
}

#[test]
fn libraries_of_both_systems_are_listed_and_inspected() {
    let setup = Setup::new(&["file"], FILES);
    let code = plugin_file::with_manifest("Tiny", "");
    plugin_file::compile(&setup.path("plugins/tiny.so"), &code);
    let list = setup.run(&["plugins", "list"]).expect_exit(0);
    assert!(list.stdout.contains("delfin_exporter_file.dll"), "{list:?}");
    assert!(
        list.stdout
            .ends_with("2 exporters in 1 plugin, 1 refused\n"),
        "{list:?}"
    );
    let refused = setup.run(&["plugins", "inspect", "plugins/tiny.so"]);
    let refused = refused.expect_exit(1);
    let reason = "was built for x86_64 (elf), this host is x86_64-pc-windows-gnu";
    for said in [&list.stdout, &refused.stderr] {
        assert!(said.contains(reason), "{said}");
    }
    let args = [
        "plugins",
        "inspect",
        "--json",
        "plugins/delfin_exporter_file.dll",
    ];
    let inspected = setup.run(&args).expect_exit(0).json();
    let names = |value: &Value| -> Vec<String> {
        let names = value.as_array().into_iter().flatten();
        names
            .map(|name| name.as_str().unwrap_or_default().to_lowercase())
            .collect()
    };
    let needed = names(&inspected["image"]["needed"]);
    let once: BTreeSet<&String> = needed.iter().collect();
    assert!(
        needed.iter().any(|name| name == "kernel32.dll"),
        "{needed:?}"
    );
    assert_eq!(once.len(), needed.len(), "{needed:?}");
    assert_eq!(inspected["image"]["missing"], json!([]));
}

#[test]
fn the_port_of_another_program_fails_the_check() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let config = format!(
        "performance_exporters = [\"PerformanceExporterPrometheus\"]\n\
         [exporter.PerformanceExporterPrometheus.config]\nmetric_server_port = {}\n",
        address.port()
    );
    let setup = Setup::new(&["prometheus"], &config);
    let refused = setup.run(&["check"]).expect_exit(3).stdout;
    assert!(
        refused.contains(&format!("cannot listen on {address}")),
        "{refused}"
    );
    drop(other);
    let _ = setup.run(&["check"]).expect_exit(0);
}

#[test]
fn a_process_that_crashes_is_named_and_its_rows_are_delivered_by_the_next() {
    for (word, cause) in [
        ("segfault", "died: access violation (0xc0000005)"),
        ("thread-segfault", "died: access violation (0xc0000005)"),
        ("abort", "died: abort (0xc0000409)"),
        ("exit", "ended with exit code 0"),
        ("thread-exit", "ended with exit code 7"),
    ] {
        let setup = Setup::new(&["file", "scripted"], SCRIPT);
        setup.write("script", word);
        let host = setup.start();
        ingest(&host, "iops");
        host.wait_for_exporter(SCRIPTED, cause, |exporter| {
            let error = exporter["last_error"].as_str();
            error.is_some_and(|error| error.contains(cause))
        });
        setup.write("script", "deliver");
        for exporter in [SCRIPTED, "PerformanceExporterFile"] {
            host.wait_for_delivered(exporter, 1);
        }
        assert_eq!(setup.lines("rows"), ["s1 iops 1"], "{word}");
        let (status, log) = host.stop();
        assert!(status.success(), "{status}\n{log}");
    }
}

#[test]
fn trying_a_plugin_that_crashes_says_how_its_process_ended() {
    let setup = Setup::new(&["scripted"], "");
    for (word, outcome, reason) in [
        (
            "segfault",
            "restart, from `export`",
            "export: the exporter process died: access violation (0xc0000005)",
        ),
        (
            "thread-abort",
            "restart, from `export`",
            "export: the exporter process died: abort (0xc0000409)",
        ),
        (
            "panic",
            "restart (panicked), from `export`",
            "panicked in `export`: the script requests a panic",
        ),
    ] {
        setup.write("script", word);
        let tried = setup.run(&[
            "try",
            "plugins/delfin_exporter_scripted.dll",
            "--exporter",
            SCRIPTED,
            "--log",
            "off",
            "--set",
            "script=script",
            "--set",
            "received=received",
        ]);
        let tried = tried.expect_exit(1);
        assert!(tried.stdout.contains(outcome), "{word}: {tried:?}");
        assert!(tried.stderr.contains(reason), "{word}: {tried:?}");
    }
}

#[test]
fn a_second_host_on_the_same_state_is_refused_and_names_the_process_of_the_first() {
    let setup = Setup::new(&["file"], FILES);
    let host = setup.start();
    let refused = setup.run(&["run"]).expect_exit(1);
    let (_, named) = refused.stderr.split_once("process ").expect("a process");
    let number: String = named.chars().take_while(char::is_ascii_digit).collect();
    assert_ne!(number, "", "{refused:?}");
    assert!(refused.stderr.contains("state_dir"), "{refused:?}");
    ingest(&host, "iops");
    host.wait_for_delivered("PerformanceExporterFile", 1);
}

#[test]
fn the_processes_of_exporters_end_with_a_host_that_is_killed() {
    let setup = Setup::new(&["file", "scripted"], SCRIPT);
    setup.write("script", "hang");
    let host = setup.start();
    ingest(&host, "iops");
    host.wait_for_log("hanging");
    host.kill();
    // The hanging process would deliver the row.
    setup.write("script", "retry");
    let host = setup.start();
    host.wait_for_exporter(SCRIPTED, "retrying", |exporter| {
        exporter["state"] == "retrying"
    });
    assert!(setup.lines("rows").is_empty());
    setup.write("script", "deliver");
    host.wait_for_delivered(SCRIPTED, 1);
    assert_eq!(setup.lines("rows"), ["s1 iops 1"]);
}

#[test]
fn a_library_that_was_replaced_is_taken_over_by_a_reload() {
    let setup = Setup::new(&["file", "scripted"], SCRIPT);
    let host = setup.start();
    let pid = || host.exporter(SCRIPTED)["pid"].clone();
    let old = wait_for("a process", || Some(pid()).filter(Value::is_u64));
    ingest(&host, "before");
    host.wait_for_delivered(SCRIPTED, 1);
    setup.change_plugin("scripted");
    let reloaded = setup.run(&["reload", "--json", "--host", host.url()]);
    assert_eq!(reloaded.expect_exit(0).json()["changed"], json!([SCRIPTED]));
    ingest(&host, "after");
    host.wait_for_delivered(SCRIPTED, 2);
    assert_ne!(pid(), old);
    assert_eq!(setup.lines("rows"), ["s1 before 1", "s1 after 1"]);
}

#[test]
fn files_and_a_webhook_get_rows_and_alerts_also_after_a_restart() {
    let receiver = Receiver::start();
    let config = format!(
        r#"
performance_exporters = ["PerformanceExporterFile", "PerformanceExporterWebhook"]
alert_exporters = ["AlertExporterFile", "AlertExporterWebhook"]
[exporter.PerformanceExporterFile.config]
path = "@/performance.jsonl"
[exporter.AlertExporterFile.config]
path = "@/alerts.jsonl"
[exporter.PerformanceExporterWebhook.config]
url = "{url}"
[exporter.AlertExporterWebhook.config]
url = "{url}"
"#,
        url = receiver.url()
    );
    let setup = Setup::new(&["file", "webhook"], &config);
    let _ = setup.run(&["check", "--connect"]).expect_exit(0);
    for round in 1..=2 {
        let host = setup.start();
        ingest(&host, &format!("iops-{round}"));
        let alert = json!([{
            "alert_id": format!("fan-{round}"), "alert_name": "fan", "storage_id": "s1",
            "severity": "Major", "category": "Fault", "occur_time": 1_700_000_000_000_u64,
        }]);
        let (status, receipt) = host.ingest("alerts", &alert);
        assert_eq!(status, 202, "{receipt}");
        for kind in ["Performance", "Alert"] {
            for exporter in ["File", "Webhook"] {
                host.wait_for_delivered(&format!("{kind}Exporter{exporter}"), round);
            }
        }
        let (status, log) = host.stop();
        assert!(status.success(), "{status}\n{log}");
    }
    let files = ["performance.jsonl", "alerts.jsonl"].map(|file| setup.json_lines(file));
    let written: BTreeSet<Row> = files.iter().flatten().map(Row::from_json).collect();
    let names: Vec<&str> = written.iter().map(|row| &*row.name).collect();
    assert_eq!(names, ["fan-1", "fan-2", "iops-1", "iops-2"]);
    let received: BTreeSet<Row> = receiver.rows().into_iter().collect();
    assert_eq!(received, written);
}

#[test]
fn the_key_of_the_inventory_is_trusted_after_a_restart() {
    let storage = json!({
        "vendor": "fake_storage", "model": "fake_driver",
        "rest": { "host": "192.0.2.7", "port": 1, "username": "admin", "password": "secret" },
        "extra_attributes": { "storage_pools": "0", "volumes": "1", "disks": "0" },
    });
    let setup = Setup::new(&[], "");
    let host = setup.start();
    let (status, registered) = host.send("POST", "/v1/storages", Some(&storage));
    assert_eq!(status, 201, "{registered}");
    let (status, log) = host.stop();
    assert!(status.success(), "{status}\n{log}");
    let host = setup.start();
    let id = registered["id"].as_str().unwrap_or_default();
    let (status, access) = host.get(&format!("/v1/storages/{id}/access-info"));
    assert_eq!(
        (status, &access["rest"]["username"]),
        (200, &json!("admin"))
    );
}

#[test]
fn this_machine_is_measured() {
    let storage = "[[storage]]\nvendor = \"windows\"\nmodel = \"host\"\n\
                   performance.interval = \"1s\"\nalerts.interval = \"1s\"\n\
                   options = { filesystem_full_percent = 1, filesystem_critical_percent = 100 }\n";
    let setup = Setup::new(&["file"], &format!("{FILES}\n{storage}"));
    let host = setup.start();
    let of = |file: &str, key: &str, wanted: &str| {
        let mut items = setup.json_lines(file).into_iter();
        items.find(|item| item[key] == wanted)
    };
    let usage = host.wait_for("the time of the processors", || {
        of("performance.jsonl", "name", "cpuUsage")
    });
    assert_eq!(usage["labels"]["resource_type"], "controller");
    let size = host.wait_for("a capacity", || {
        of("performance.jsonl", "name", "totalCapacity")
    });
    assert!(
        size["values"]
            .as_object()
            .is_some_and(|values| !values.is_empty()),
        "{size}"
    );
    // Wine's volumes are those of this machine, which have something in them.
    let alert = host.wait_for("an alert", || {
        of("alerts.jsonl", "alert_id", "filesystem-nearly-full")
    });
    let location = alert["location"].as_str().unwrap_or_default();
    assert!(location.ends_with(":\\"), "{alert}");
}

#[test]
fn a_new_exporter_is_built_and_receives_batches() {
    let setup = Setup::new(&[], "");
    let output = setup.run(&["new", "exporter", "acme"]).expect_exit(0);
    let library = "target/release/delfin_exporter_acme.dll";
    assert!(output.stdout.contains(library), "{output:?}");
    // The dependencies that were built for the host.
    let lock = setup.path("acme/Cargo.lock");
    fs::copy(root().join("Cargo.lock"), lock).expect("copy a file");
    let mut cargo = windows_script(&["cargo", "build", "--manifest-path"]);
    // No time limit: a build takes longer than any other wait.
    let built = cargo.arg(setup.path("acme/Cargo.toml")).output();
    let built = built.expect("run cargo");
    assert!(built.status.success(), "{built:?}");
    let library = "target/windows/target/x86_64-pc-windows-gnu/debug/delfin_exporter_acme.dll";
    acme_receives_batches(setup, &root().join(library));
}

#[test]
fn a_new_exporter_in_c_is_built_and_receives_batches() {
    project_acme_receives_batches("c", &["CC=x86_64-w64-mingw32-gcc-posix -Werror"]);
}

#[test]
fn a_new_exporter_in_go_is_built_and_receives_batches() {
    let variables = [
        "CC=x86_64-w64-mingw32-gcc-posix",
        "CGO_ENABLED=1",
        "GOARCH=amd64",
        "GOOS=windows",
    ];
    project_acme_receives_batches("go", &variables);
}

/// Runs a host with the exporter of a project that is built by `make` with these variables.
fn project_acme_receives_batches(language: &str, variables: &[&str]) {
    let setup = Setup::new(&[], "");
    let args = ["new", "exporter", "acme", "--lang", language];
    let output = setup.run(&args).expect_exit(0);
    assert!(output.stdout.contains("acme.dll"), "{output:?}");
    let mut make = Command::new("make");
    make.arg("-C").arg(setup.path("acme")).args(variables);
    // No time limit: see above.
    let built = make.output().expect("run make");
    assert!(built.status.success(), "{built:?}");
    let library = "acme/acme.dll";
    let _ = setup.run(&["conformance", library]).expect_exit(0);
    let library = setup.path(library);
    acme_receives_batches(setup, &library);
}

/// Runs a host with the exporter of a project that was just made.
fn acme_receives_batches(setup: Setup, library: &Path) {
    let setup = setup
        .with_library(library)
        .with_config("performance_exporters = [\"PerformanceExporterAcme\"]");
    let host = setup.start();
    ingest(&host, "iops");
    let line = host.wait_for_log("received 1 points");
    assert!(line.contains("exporter=PerformanceExporterAcme"), "{line}");
    host.wait_for_delivered("PerformanceExporterAcme", 1);
}
