//! The settings of an exporter and their effect on delivery.

use delfin_tests::{Host, Setup};
use serde_json::{Value, json};

const SCRIPTED: &str = "PerformanceExporterScripted";

/// A scripted exporter with these settings.
fn setup(tables: &str) -> Setup {
    Setup::new(&["scripted"], &config(tables))
}

fn config(tables: &str) -> String {
    format!(
        r#"
performance_exporters = "PerformanceExporterScripted"
[exporter.PerformanceExporterScripted]
{tables}
[exporter.PerformanceExporterScripted.config]
script = "@/script"
received = "@/received"
"#
    )
}

fn table(name: &str, settings: &str) -> String {
    format!("[exporter.PerformanceExporterScripted.{name}]\n{settings}\n")
}

/// Sends series with these names and one point each.
fn ingest(host: &Host, names: &[&str]) {
    let series = |name: &&str| json!({ "name": name, "labels": { "storage_id": "s1" }, "values": { "1000": 1.5 } });
    let batch: Vec<Value> = names.iter().map(series).collect();
    let (status, receipt) = host.ingest("performance", &json!(batch));
    assert_eq!(status, 202, "{receipt}");
}

/// The number of items of each call.
fn calls(setup: &Setup) -> Vec<u64> {
    let lines = setup.lines("received");
    let items = lines.iter().filter_map(|line| line.split(' ').nth(1));
    items
        .map(|items| items.parse().unwrap_or_default())
        .collect()
}

fn dropped(host: &Host) -> f64 {
    host.metrics()
        .of_exporter(SCRIPTED, "delfin_host_exporter_dropped_items_total")
}

#[test]
fn filtered_rows_are_not_sent_and_are_counted() {
    let setup = setup(&table(
        "filter",
        "include = [\"name=read*\"]\nexclude = [\"name=readTime\"]",
    ));
    let host = setup.start();
    ingest(&host, &["readIops", "writeIops", "readTime", "readRate"]);
    ingest(&host, &["writeIops"]);
    let exporter = host.wait_for_exporter(SCRIPTED, "nothing pending", |exporter| {
        exporter["filtered"] == 3 && exporter["pending"] == 0
    });
    assert_eq!(exporter["delivered"], 2);
    assert_eq!(calls(&setup), [2]);
}

#[test]
fn a_batch_is_split_to_the_limits_of_one_call() {
    let setup = setup(&table("batch", "max_points = 2"));
    let host = setup.start();
    ingest(&host, &["a", "b", "c", "d", "e"]);
    host.wait_for_delivered(SCRIPTED, 5);
    assert_eq!(calls(&setup), [2, 2, 1]);
}

#[test]
fn pending_batches_are_sent_together_after_an_outage() {
    let setup = setup(&table(
        "retry",
        "initial_interval = \"10ms\"\nmax_interval = \"20ms\"",
    ));
    setup.write("script", "retry");
    let host = setup.start();
    ingest(&host, &["a"]);
    host.wait_for_exporter(SCRIPTED, "retrying", |exporter| {
        exporter["state"] == "retrying"
    });
    for name in ["b", "c", "d"] {
        ingest(&host, &[name]);
    }
    setup.write("script", "deliver");
    host.wait_for_delivered(SCRIPTED, 4);
    assert!(calls(&setup).len() < 4, "{:?}", calls(&setup));
}

#[test]
fn rows_past_max_elapsed_time_become_dead_letters() {
    let retry = "initial_interval = \"5ms\"\nmax_interval = \"10ms\"\nmax_elapsed_time = \"50ms\"";
    let setup = setup(&table("retry", retry));
    setup.write("script", "retry");
    let host = setup.start();
    for (script, dead) in [("retry", 2), ("retry-rows", 4)] {
        setup.write("script", script);
        ingest(&host, &["a", "b"]);
        let exporter = host.wait_for_exporter(SCRIPTED, "dead letters", |exporter| {
            exporter["dead_lettered"] == dead
        });
        assert_eq!(exporter["pending"], 0);
    }
    let (_, answer) = host.get("/v1/dead-letters");
    let reasons = answer["dead_letters"].as_array().into_iter().flatten();
    let expired = reasons.filter(|dead| {
        let reason = dead["reason"].as_str().unwrap_or_default();
        reason.contains("`retry.max_elapsed_time`")
    });
    assert_eq!(expired.count(), 2, "{answer}");
}

#[test]
fn rows_are_sent_in_smaller_requests_while_the_time_of_a_call_is_not_enough() {
    let retry = table(
        "retry",
        "initial_interval = \"5ms\"\nmax_interval = \"10ms\"",
    );
    let setup = setup(&format!("timeout = \"250ms\"\n{retry}"));
    setup.write("script", "slow");
    let host = setup.start();
    ingest(&host, &["a", "b", "c", "d"]);
    host.wait_for_delivered(SCRIPTED, 4);
    assert_eq!(calls(&setup), [1, 1, 1, 1]);
}

#[test]
fn uncertain_rows_follow_the_setting_on_uncertain() {
    let setup = setup(&table("retry", "on_uncertain = \"dead_letter\""));
    setup.write("script", "uncertain");
    let host = setup.start();
    ingest(&host, &["a", "b"]);
    host.wait_for_exporter(SCRIPTED, "dead letters", |exporter| {
        exporter["dead_lettered"] == 2
    });
    // One row of a call.
    setup.write("script", "uncertain-row");
    ingest(&host, &["c", "d"]);
    let exporter = host.wait_for_exporter(SCRIPTED, "a dead letter", |exporter| {
        exporter["dead_lettered"] == 3
    });
    assert_eq!(
        (&exporter["pending"], &exporter["delivered"]),
        (&json!(0), &json!(1))
    );
}

#[test]
fn without_dead_letters_rejected_rows_are_dropped_and_counted() {
    let setup = setup(&table("dead_letter", "enabled = false"));
    setup.write("script", "reject");
    let host = setup.start();
    ingest(&host, &["a", "b"]);
    let exporter = host.wait_for_exporter(SCRIPTED, "dropped", |exporter| exporter["dropped"] == 2);
    assert_eq!(
        (&exporter["dead_lettered"], &exporter["pending"]),
        (&json!(0), &json!(0))
    );
    assert!((dropped(&host) - 2.0).abs() < 0.5);
}

#[test]
fn full_dead_letters_can_block_their_exporter() {
    let setup = setup(&table("dead_letter", "max_bytes = 1\non_full = \"block\""));
    setup.write("script", "reject");
    let host = setup.start();
    ingest(&host, &["a"]);
    host.wait_for_exporter(SCRIPTED, "paused", |exporter| exporter["state"] == "paused");
    setup.write("script", "deliver");
    ingest(&host, &["b"]);
    host.wait_for_exporter(SCRIPTED, "pending", |exporter| exporter["pending"] == 1);
    let purged = setup.run(&[
        "dead-letters",
        "purge",
        "--exporter",
        SCRIPTED,
        "--host",
        host.url(),
    ]);
    let _ = purged.expect_exit(0);
    host.wait_for_delivered(SCRIPTED, 1);
}

#[test]
fn a_new_exporter_can_start_from_earlier_batches() {
    let setup = setup("");
    let host = setup.start();
    ingest(&host, &["a", "b"]);
    host.wait_for_delivered(SCRIPTED, 2);
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");

    let late = r#"
[exporter.late]
plugin = "PerformanceExporterScripted"
start_from = "1h"
[exporter.late.config]
script = "@/script"
received = "@/late"
"#;
    let both = "performance_exporters = \"PerformanceExporterScripted,late\"";
    let text = config("").replace(
        "performance_exporters = \"PerformanceExporterScripted\"",
        both,
    );
    let setup = setup.with_config(&(text + late));
    let host = setup.start();
    host.wait_for_delivered("late", 2);
    assert_eq!(host.exporter(SCRIPTED)["delivered"], 2);
}
