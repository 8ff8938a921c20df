//! Replay of delivered batches and of dead letters.

use delfin_tests::{Host, Setup};
use serde_json::{Value, json};

const SCRIPTED: &str = "PerformanceExporterScripted";

const CONFIG: &str = r#"
performance_exporters = "PerformanceExporterScripted"
[exporter.PerformanceExporterScripted.retry]
initial_interval = "10ms"
max_interval = "50ms"
[exporter.PerformanceExporterScripted.config]
script = "@/script"
received = "@/received"
"#;

fn setup() -> Setup {
    Setup::new(&["scripted"], CONFIG)
}

fn ingest(host: &Host, series: usize) {
    let one = |number: usize| json!({ "name": format!("n{number}"), "labels": { "storage_id": "s1" }, "values": { "1000": 1.5 } });
    let batch: Vec<Value> = (0..series).map(one).collect();
    let (status, receipt) = host.ingest("performance", &json!(batch));
    assert_eq!(status, 202, "{receipt}");
}

/// Runs a command with the running host: its output as JSON.
fn run(setup: &Setup, host: &Host, args: &[&str]) -> Value {
    let output = setup.run(&[args, &["--json", "--host", host.url()]].concat());
    output.expect_exit(0).json()
}

fn unaccounted(host: &Host) -> f64 {
    host.metrics()
        .of_exporter(SCRIPTED, "delfin_host_exporter_unaccounted_items")
}

#[test]
fn replay_delivers_delivered_batches_again() {
    let setup = setup();
    let host = setup.start();
    ingest(&host, 3);
    host.wait_for_delivered(SCRIPTED, 3);
    let replayed = run(
        &setup,
        &host,
        &["replay", "--exporter", SCRIPTED, "--since", "1h", "--wait"],
    );
    assert_eq!(replayed["items"], 3);
    let exporter = host.exporter(SCRIPTED);
    assert_eq!(
        (&exporter["pending"], &exporter["delivered"]),
        (&json!(0), &json!(6))
    );
    assert!(unaccounted(&host).abs() < 0.5);
    let output = setup.run(&[
        "replay",
        "--exporter",
        "unknown",
        "--since",
        "1h",
        "--host",
        host.url(),
    ]);
    let output = output.expect_exit(1);
    assert!(output.stderr.contains("unknown"), "{}", output.stderr);
}

#[test]
fn dead_letters_are_listed_and_replayed() {
    let setup = setup();
    setup.write("script", "reject");
    let host = setup.start();
    ingest(&host, 2);
    let dead = host.wait_for_exporter(SCRIPTED, "dead letters", |exporter| {
        exporter["dead_lettered"] == 2
    });
    assert_eq!(
        (&dead["pending"], &dead["state"]),
        (&json!(0), &json!("running"))
    );

    let listed = run(&setup, &host, &["dead-letters", "list"]);
    let dead = listed["dead_letters"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    assert_eq!(dead.len(), 2, "each stands alone: {listed}");
    assert_eq!(
        (&dead[0]["exporter"], &dead[0]["reason"]),
        (&json!(SCRIPTED), &json!("not wanted"))
    );
    let id = dead[0]["id"].as_str().unwrap_or_default();
    let shown = run(&setup, &host, &["dead-letters", "show", id]);
    assert!(shown.to_string().contains("\"n0\""), "{shown}");

    let dry = run(
        &setup,
        &host,
        &[
            "dead-letters",
            "replay",
            "--exporter",
            SCRIPTED,
            "--dry-run",
        ],
    );
    assert_eq!(dry["letters"], 2);
    setup.write("script", "deliver");
    assert_eq!(
        run(
            &setup,
            &host,
            &["dead-letters", "replay", "--exporter", SCRIPTED]
        )["letters"],
        2
    );
    host.wait_for_delivered(SCRIPTED, 2);
    assert_eq!(
        host.exporter(SCRIPTED)["dead_lettered"],
        2,
        "it stays counted"
    );
    assert!(unaccounted(&host).abs() < 0.5);
    let left = run(&setup, &host, &["dead-letters", "list"]);
    assert_eq!(left["dead_letters"], json!([]));
}

#[test]
fn a_dead_letter_that_is_refused_again_stays_and_can_be_purged() {
    let setup = setup();
    setup.write("script", "reject");
    let host = setup.start();
    ingest(&host, 1);
    host.wait_for_exporter(SCRIPTED, "a dead letter", |exporter| {
        exporter["dead_lettered"] == 1
    });
    run(
        &setup,
        &host,
        &["dead-letters", "replay", "--exporter", SCRIPTED],
    );
    host.wait_for_exporter(SCRIPTED, "rejected again", |exporter| {
        exporter["dead_lettered"] == 2
    });
    let listed = run(&setup, &host, &["dead-letters", "list"]);
    assert_eq!(listed["dead_letters"][0]["attempts"], 2, "{listed}");
    assert!(unaccounted(&host).abs() < 0.5);
    assert_eq!(
        run(
            &setup,
            &host,
            &["dead-letters", "purge", "--exporter", SCRIPTED]
        )["letters"],
        1
    );
    let left = run(&setup, &host, &["dead-letters", "list"]);
    assert_eq!(left["dead_letters"], json!([]));
}
