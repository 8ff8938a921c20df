//! Reload: an unchanged exporter keeps running, a changed one keeps its cursor, and a mistake changes
//! nothing.

use std::path::Path;

use delfin_tests::{Host, Setup, one_series, plugin, receivers::free_port, runs_windows, wait_for};
use serde_json::{Value, json};

const FILE: &str = "PerformanceExporterFile";
const SCRIPTED: &str = "PerformanceExporterScripted";

const BOTH: &str = r#"
performance_exporters = ["PerformanceExporterFile", "PerformanceExporterScripted"]
[exporter.PerformanceExporterFile.config]
path = "@/out.jsonl"
[exporter.PerformanceExporterScripted]
timeout = "500ms"
[exporter.PerformanceExporterScripted.retry]
initial_interval = "10ms"
max_interval = "1h"
[exporter.PerformanceExporterScripted.config]
script = "@/script"
received = "@/received"
password = "${file:@/password}"
"#;

fn both() -> Setup {
    let setup = Setup::new(&["file", "scripted"], "");
    setup.write("password", "old password\n");
    setup.with_config(BOTH)
}

fn ingest(host: &Host, points: u64) -> String {
    let (status, receipt) = host.ingest("performance", &one_series("iops", points));
    assert_eq!(status, 202, "{receipt}");
    receipt["batch_id"].as_str().unwrap_or_default().to_owned()
}

fn reload(setup: &Setup, host: &Host) -> Value {
    let output = setup.run(&["reload", "--json", "--host", host.url()]);
    output.expect_exit(0).json()
}

fn state(host: &Host, exporter: &str) -> String {
    host.exporter(exporter)["state"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_changed_exporter_keeps_its_cursor_and_no_other_is_restarted() {
    let setup = both();
    let host = setup.start();
    ingest(&host, 2);
    host.wait_for_delivered(SCRIPTED, 2);

    let setup = setup.with_config(&BOTH.replace("@/received", "@/elsewhere"));
    let reloaded = reload(&setup, &host);
    assert_eq!(reloaded["changed"], json!([SCRIPTED]));
    assert_eq!(reloaded["unchanged"], json!([FILE]));
    ingest(&host, 3);
    host.wait_for_delivered(SCRIPTED, 5);
    assert_eq!(
        (
            setup.lines("received").len(),
            setup.lines("elsewhere").len()
        ),
        (1, 1)
    );
    host.wait_for_delivered(FILE, 5);
}

#[test]
fn a_removed_exporter_keeps_its_cursor_and_a_new_one_starts_now() {
    let setup = both();
    setup.write("script", "retry");
    let host = setup.start();
    ingest(&host, 2);
    host.wait_for_exporter(SCRIPTED, "pending", |exporter| exporter["pending"] == 2);

    let without = BOTH.replace(", \"PerformanceExporterScripted\"", "");
    let setup = setup.with_config(&without);
    let reloaded = reload(&setup, &host);
    assert_eq!(reloaded["removed"], json!([SCRIPTED]));
    let (_, exporters) = host.get("/v1/exporters");
    assert_eq!(
        exporters["exporters"].as_array().map(Vec::len),
        Some(1),
        "{exporters}"
    );
    let kept = &exporters["removed"][0];
    assert_eq!(
        (&kept["name"], &kept["pending"]),
        (&json!(SCRIPTED), &json!(2))
    );
    let listed = setup.run(&["exporters", "--host", host.url()]);
    assert!(
        listed.stdout.contains("no longer configured since"),
        "{}",
        listed.stdout
    );

    setup.write("script", "deliver");
    let setup = setup.with_config(BOTH);
    assert_eq!(reload(&setup, &host)["added"], json!([SCRIPTED]));
    host.wait_for_delivered(SCRIPTED, 2);
}

#[test]
fn a_mistake_changes_nothing() {
    let mut setup = both();
    let host = setup.start();
    for (mistake, word) in [
        (BOTH.replace("timeout =", "time_out ="), "time_out"),
        (
            BOTH.replace("Scripted\"]", "Skripted\"]"),
            "PerformanceExporterSkripted",
        ),
        (
            BOTH.replace("${file:@/password}", "${file:@/nowhere}"),
            "nowhere",
        ),
    ] {
        setup = setup.with_config(&mistake);
        let output = setup.run(&["reload", "--host", host.url()]);
        let output = output.expect_exit(3);
        assert!(output.stderr.contains(word), "{}", output.stderr);
        assert!(
            !output.stderr.contains("Invalid input"),
            "{}",
            output.stderr
        );
    }
    ingest(&host, 1);
    host.wait_for_delivered(SCRIPTED, 1);
    host.wait_for_delivered(FILE, 1);
}

#[test]
fn the_only_instance_is_checked_first_and_gets_its_old_settings_back() {
    let mut setup = both();
    let host = setup.start();
    // The plugin reads its settings without an instance.
    setup = setup.with_config(&BOTH.replace("path = ", "pathh = "));
    for args in [&["reload", "--host", host.url()][..], &["check"]] {
        let output = setup.run(args).expect_exit(3);
        let text = output.stderr.clone() + &output.stdout;
        assert!(text.contains("pathh"), "{text}");
    }
    // This plugin refuses its settings only when it creates an instance.
    let changed = BOTH.replace("@/received", "@/elsewhere");
    setup = setup.with_config(&changed.replace("@/out", "@/other"));
    let plan = setup.run(&["reload", "--dry-run", "--json", "--host", host.url()]);
    assert_eq!(
        plan.expect_exit(0).json()["changed"],
        json!([FILE, SCRIPTED])
    );
    for (script, consequence) in [
        ("refuse-elsewhere", "(the old settings run again)"),
        (
            "refuse",
            "(and the old settings cannot be started again: refused",
        ),
    ] {
        setup.write("script", script);
        let output = setup.run(&["reload", "--host", host.url()]).expect_exit(3);
        assert!(output.stderr.contains(consequence), "{}", output.stderr);
    }
    setup.write("script", "deliver");
    let reloaded = setup.run(&["reload", "--json", "--host", host.url()]);
    let _ = reloaded.expect_exit(0);
    ingest(&host, 1);
    host.wait_for_delivered(SCRIPTED, 1);
    host.wait_for_delivered(FILE, 1);
    assert_eq!(
        setup.lines("other.jsonl").len(),
        1,
        "the other change was applied"
    );
}

#[test]
fn a_port_that_another_program_has_is_found_before_the_only_instance_gives_way() {
    const PAGE: &str = "PerformanceExporterPrometheus";
    let own = free_port();
    let config = |port: u16| {
        format!(
            "performance_exporters = [\"{PAGE}\"]\n\
             [exporter.{PAGE}.config]\nmetric_server_port = {port}\n"
        )
    };
    let setup = Setup::new(&["prometheus"], &config(own));
    let host = setup.start();
    let running = || {
        host.wait_for_exporter(PAGE, "running", |exporter| exporter["state"] == "running");
        host.exporter(PAGE)["pid"].to_string()
    };
    let pid = running();
    // The running instance has this port.
    let _ = setup.run(&["check"]).expect_exit(0);
    let other_settings = config(own) + "metric_expiration = \"40m\"\n";
    let mut setup = setup.with_config(&other_settings);
    let dry_run = ["reload", "--dry-run", "--host", host.url()];
    let _ = setup.run(&dry_run).expect_exit(0);
    assert_eq!(running(), pid);

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    setup = setup.with_config(&config(port));
    let reason = format!("cannot listen on 127.0.0.1:{port}: Address already in use");
    for args in [&["check"][..], &dry_run, &["reload", "--host", host.url()]] {
        let output = setup.run(args).expect_exit(3);
        let text = output.stderr.clone() + &output.stdout;
        assert!(text.contains(&reason), "{text}");
        assert_eq!(running(), pid, "{args:?}");
    }
    drop(taken);
    let _ = setup.run(&dry_run).expect_exit(0);
}

#[test]
fn a_broken_plugin_file_blocks_no_reload_of_another_exporter() {
    let setup = both();
    let host = setup.start();
    setup.write(&format!("plugins/{}", file_name("scripted")), "no library");
    let setup = setup.with_config(&BOTH.replace("@/out", "@/other"));
    let reloaded = reload(&setup, &host);
    assert_eq!(reloaded["changed"], json!([FILE]));
    assert_eq!(reloaded["unchanged"], json!([SCRIPTED]));
    assert!(
        reloaded["warnings"][0]
            .as_str()
            .is_some_and(|line| line.contains(SCRIPTED)),
        "{reloaded}"
    );
    ingest(&host, 1);
    host.wait_for_delivered(SCRIPTED, 1);

    // It keeps its instance although its settings change; a new exporter of the file fails.
    let changed = BOTH
        .replace("@/out", "@/third")
        .replace("@/received", "@/elsewhere")
        .replace(
            "Scripted\"]",
            "Scripted\", \"PerformanceExporterConcurrent\"]",
        );
    let setup = setup.with_config(&changed);
    let dry_run = setup.run(&["reload", "--dry-run", "--host", host.url()]);
    let dry_run = dry_run.expect_exit(3).stderr;
    assert!(host.get("/v1/exporters").1["exporters"][2].is_null());
    let applied = setup.run(&["reload", "--host", host.url()]);
    let applied = applied.expect_exit(3).stderr;
    for (text, would) in [(dry_run, "would be"), (applied, "was")] {
        for part in [
            SCRIPTED,
            "PerformanceExporterConcurrent",
            "old instance",
            would,
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    ingest(&host, 1);
    host.wait_for_delivered(SCRIPTED, 2);
    host.wait_for_delivered(FILE, 2);
    assert_eq!(setup.lines("received").len(), 2);
    assert_eq!(setup.lines("third.jsonl").len(), 1);
    assert_eq!(state(&host, "PerformanceExporterConcurrent"), "failed");
}

#[test]
fn the_process_that_was_tried_takes_over_and_the_old_one_is_gone() {
    let config = r#"
performance_exporters = ["PerformanceExporterConcurrent"]
[exporter.PerformanceExporterConcurrent.config]
script = "@/script"
received = "@/received"
created = "@/created"
"#;
    let setup = Setup::new(&["scripted"], config);
    let host = setup.start();
    let name = "PerformanceExporterConcurrent";
    let pid = || host.exporter(name)["pid"].as_u64().expect("a process");
    ingest(&host, 1);
    host.wait_for_delivered(name, 1);
    let old = pid();

    setup.change_plugin("scripted");
    assert_eq!(reload(&setup, &host)["changed"], json!([name]));
    let new = pid();
    assert_ne!(new, old);
    // Wine has numbers of its own.
    assert!(runs_windows() || !Path::new(&format!("/proc/{old}")).exists());
    assert_eq!(setup.lines("created").len(), 2);

    // New settings that are refused leave the process as it is.
    setup.write("script", "refuse");
    let setup = setup.with_config(&config.replace("@/received", "@/elsewhere"));
    let output = setup.run(&["reload", "--host", host.url()]).expect_exit(3);
    let refused = "refused its config: the password `` is too short (its old instance is kept)";
    assert!(output.stderr.contains(refused), "{}", output.stderr);
    setup.write("script", "deliver");
    ingest(&host, 2);
    host.wait_for_delivered(name, 3);
    assert_eq!(pid(), new);
    assert_eq!(setup.lines("received").len(), 2);
}

fn file_name(of: &str) -> String {
    let path = plugin(of);
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[test]
fn a_changed_secret_is_read_again() {
    let setup = both();
    setup.write("script", "retry");
    let host = setup.start();
    ingest(&host, 1);
    host.wait_for_exporter(SCRIPTED, "retrying", |exporter| {
        exporter["state"] == "retrying"
    });
    setup.write("password", "new password\n");
    setup.write("script", "deliver");
    assert_eq!(reload(&setup, &host)["changed"], json!([SCRIPTED]));
    host.wait_for_delivered(SCRIPTED, 1);
}

#[test]
fn a_paused_exporter_resumes_with_a_reload() {
    let setup = both();
    setup.write("script", "unauthorized");
    let host = setup.start();
    ingest(&host, 1);
    host.wait_for_exporter(SCRIPTED, "paused", |exporter| exporter["state"] == "paused");
    assert_eq!(host.exporter(SCRIPTED)["pending"], 1);
    setup.write("script", "deliver");
    assert_eq!(reload(&setup, &host)["resumed"], json!([SCRIPTED]));
    host.wait_for_delivered(SCRIPTED, 1);
    assert_eq!(state(&host, SCRIPTED), "running");
}

#[test]
fn sighup_reloads() {
    let setup = both();
    let host = setup.start();
    let setup = setup.with_config(&BOTH.replace("\"PerformanceExporterFile\", ", ""));
    host.send_hangup();
    wait_for("one exporter", || {
        let (_, answer) = host.get("/v1/exporters");
        (answer["exporters"].as_array()?.len() == 1).then_some(())
    });
    assert_eq!(state(&host, SCRIPTED), "running");
    drop(setup);
}
