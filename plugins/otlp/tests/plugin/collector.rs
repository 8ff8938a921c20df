//! What the OTLP receiver of the OpenTelemetry Collector accepts.

use std::collections::BTreeMap;

use delfin_plugin_api::{
    Batch, PerformanceBatchBuilder, sample,
    testkit::{Harness, TestInstance},
};
use delfin_tests::{receivers::OtlpCollector, wait_for};
use serde_json::{Value, json};

use crate::{ALERTS, PERFORMANCE};

/// Sends a batch again until it is delivered, as the host does.
fn deliver(exporter: &mut TestInstance, batch: &impl Batch) {
    wait_for("a delivered batch", || exporter.send(batch).ok());
}

/// The elements of a list of objects in JSON, through the names of lists inside each other.
fn list<'a>(values: &'a [Value], path: &[&str]) -> Vec<&'a Value> {
    let mut found: Vec<_> = values.iter().collect();
    for name in path {
        let next = found.into_iter();
        found = next
            .flat_map(|value| value[*name].as_array().into_iter().flatten())
            .collect();
    }
    found
}

/// The value of a text attribute.
fn attribute<'a>(value: &'a Value, name: &str) -> &'a str {
    let attributes = value["attributes"].as_array().into_iter().flatten();
    let mut found = attributes.filter(|attribute| attribute["key"] == name);
    found
        .next()
        .map_or("", |found| found["value"]["stringValue"].as_str().unwrap())
}

#[test]
fn nothing_is_missing_after_the_collector_was_killed_and_started() {
    let harness = Harness::of_crate();
    let Some(mut collector) = OtlpCollector::start(&harness.new_folder()) else {
        return;
    };
    let settings = json!({ "url": collector.url() });
    let mut exporter = harness.start(PERFORMANCE, &settings);
    let sender = std::thread::spawn(move || {
        for round in 0..60_i64 {
            let mut batch = PerformanceBatchBuilder::new();
            for disk in 0..20 {
                let labels = [
                    ("resource_type", "disk".to_owned()),
                    ("resource_id", format!("d{disk}")),
                ];
                let times = round * 10..(round + 1) * 10;
                batch
                    .series("iops", labels, times.map(|time| (time, time as f64 / 4.0)))
                    .unwrap();
            }
            deliver(&mut exporter, &batch.build());
        }
    });
    let points = |collector: &OtlpCollector| {
        let lines = collector.accepted();
        let points = list(&lines, &["resourceMetrics", "scopeMetrics", "metrics"]);
        let points = points
            .iter()
            .flat_map(|metric| metric["gauge"]["dataPoints"].as_array().unwrap());
        let points = points.map(|point| {
            let millis = point["timeUnixNano"]
                .as_str()
                .map_or(0, |nanos| nanos.parse::<i64>().unwrap() / 1_000_000);
            (
                (attribute(point, "resource_id").to_owned(), millis),
                point["asDouble"].as_f64().unwrap(),
            )
        });
        // A request whose response was lost is there twice.
        points.collect::<BTreeMap<_, _>>()
    };
    for reached in [1000, 6000] {
        wait_for("points", || {
            (points(&collector).len() >= reached).then_some(())
        });
        collector.kill();
        collector.restart();
    }
    sender.join().unwrap();
    let all = (0..20)
        .flat_map(|disk| (0..600).map(move |time| ((format!("d{disk}"), time), time as f64 / 4.0)));
    assert_eq!(points(&collector), all.collect());
}

#[test]
fn awkward_labels_and_values_arrive_as_the_readme_says() {
    let harness = Harness::of_crate();
    let Some(collector) = OtlpCollector::start(&harness.new_folder()) else {
        return;
    };
    let long = "x".repeat(10_000);
    let texts = [
        "\"quoted\" \\back\\slash",
        "line\nbreak\r\ttab nul \0",
        "grüße 数据 🦀 \u{202e}right to left\u{feff}",
        " ",
        &long,
    ];
    let mut batch = PerformanceBatchBuilder::new();
    for text in texts {
        let labels = [("resource_id", text), ("unit", "%"), ("empty", "")];
        batch
            .series(
                "iops",
                labels,
                [(1, 0.1 + 0.2), (2, f64::NAN), (3, f64::INFINITY)],
            )
            .unwrap();
    }
    let settings = json!({ "url": collector.url() });
    deliver(&mut harness.start(PERFORMANCE, &settings), &batch.build());
    let lines = collector.accepted();
    let metrics = list(&lines, &["resourceMetrics", "scopeMetrics", "metrics"]);
    let found: Vec<_> = metrics
        .iter()
        .map(|metric| {
            assert_eq!(
                (&metric["name"], &metric["unit"]),
                (&json!("delfin.iops"), &json!("%"))
            );
            let points = metric["gauge"]["dataPoints"].as_array().unwrap();
            let values: Vec<_> = points
                .iter()
                .map(|point| point["asDouble"].to_string())
                .collect();
            assert_eq!(values, ["0.30000000000000004", "\"NaN\"", "\"Infinity\""]);
            assert_eq!(points[0]["attributes"].as_array().unwrap().len(), 1);
            attribute(&points[0], "resource_id")
        })
        .collect();
    assert_eq!(found, texts);
}

#[test]
fn each_alert_is_a_log_record_of_its_storage() {
    let harness = Harness::of_crate();
    let Some(collector) = OtlpCollector::start(&harness.new_folder()) else {
        return;
    };
    let settings = json!({ "url": collector.url(), "compression": "none" });
    let mut exporter = harness.start(ALERTS, &settings);
    assert_eq!(exporter.outcome_of("health"), Ok(()));
    assert_eq!(exporter.send(&sample::alerts(500)), Ok(()));
    let lines = collector.accepted();
    let resources = list(&lines, &["resourceLogs"]);
    assert_eq!(resources.len(), 1);
    assert_eq!(
        attribute(&resources[0]["resource"], "storage.vendor"),
        "sample"
    );
    let records = list(&lines, &["resourceLogs", "scopeLogs", "logRecords"]);
    assert_eq!(records.len(), 500);
    assert_eq!(records[7]["severityText"], "Warning");
    assert_eq!(
        records[7]["body"]["stringValue"],
        "Backend link has gone down"
    );
    assert_eq!(attribute(records[7], "alert_id"), "7");
    assert_eq!(records[7]["eventName"], "delfin.alert");
}
