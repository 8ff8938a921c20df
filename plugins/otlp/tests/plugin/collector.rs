//! What the OTLP receiver of the OpenTelemetry Collector accepts.

use std::{collections::BTreeMap, time::Duration};

use delfin_plugin_api::{
    Batch, Failure, PerformanceBatchBuilder, sample,
    testkit::{Harness, TestInstance, check_outcome, conformance},
};
use delfin_tests::{
    Authority, LONG_TEXT,
    receivers::{OtlpCollector, OtlpTls},
    wait_for,
};
use serde_json::{Value, json};

use crate::{ALERTS, PERFORMANCE};

const PROTOCOLS: [&str; 2] = ["http/protobuf", "grpc"];

/// Settings for the receiver.
fn settings(collector: &OtlpCollector, protocol: &str) -> Value {
    let url = match protocol {
        "grpc" => collector.grpc_url(),
        _ => collector.url(),
    };
    json!({ "url": url, "protocol": protocol })
}

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
fn conforms_over_grpc() {
    let harness = Harness::of_crate();
    if let Some(collector) = OtlpCollector::start(&harness.new_folder()) {
        conformance(|_, _| settings(&collector, "grpc"));
    }
}

#[test]
fn nothing_is_missing_over_http_after_the_collector_was_killed_and_started() {
    deliver_in_spite_of_kills("http/protobuf");
}

#[test]
fn nothing_is_missing_over_grpc_after_the_collector_was_killed_and_started() {
    deliver_in_spite_of_kills("grpc");
}

fn deliver_in_spite_of_kills(protocol: &str) {
    let harness = Harness::of_crate();
    let Some(mut collector) = OtlpCollector::start(&harness.new_folder()) else {
        return;
    };
    let mut exporter = harness.start(PERFORMANCE, &settings(&collector, protocol));
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
    PROTOCOLS.into_iter().for_each(check_awkward_labels);
}

fn check_awkward_labels(protocol: &str) {
    let harness = Harness::of_crate();
    let Some(collector) = OtlpCollector::start(&harness.new_folder()) else {
        return;
    };
    let texts = [
        "\"quoted\" \\back\\slash",
        "line\nbreak\r\ttab nul \0",
        "grüße 数据 🦀 \u{202e}right to left\u{feff}",
        " ",
        LONG_TEXT,
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
    let mut exporter = harness.start(PERFORMANCE, &settings(&collector, protocol));
    deliver(&mut exporter, &batch.build());
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
    PROTOCOLS.into_iter().for_each(check_log_records);
}

fn check_log_records(protocol: &str) {
    let harness = Harness::of_crate();
    let Some(collector) = OtlpCollector::start(&harness.new_folder()) else {
        return;
    };
    let mut settings = settings(&collector, protocol);
    settings["compression"] = json!("none");
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

#[test]
fn a_receiver_that_refuses_is_asked_again_after_its_time_and_not_for_rows_that_it_never_takes() {
    let harness = Harness::of_crate();
    let Some(collector) = OtlpCollector::start(&harness.new_folder()) else {
        return;
    };
    let outcomes = |code, seconds| {
        collector.refuse(code, seconds);
        PROTOCOLS.map(|protocol| {
            let mut exporter = harness.start(PERFORMANCE, &settings(&collector, protocol));
            exporter.send(&sample::performance(3, 2))
        })
    };
    // DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED and UNAVAILABLE.
    for code in [4, 8, 14] {
        for outcome in outcomes(code, 3) {
            let Err(Failure::Throttled { message, after }) = outcome else {
                panic!("{outcome:?}")
            };
            assert!(message.contains("refused by the test"), "{message}");
            assert_eq!(after, Some(Duration::from_secs(3)));
        }
    }
    for (code, over_http, over_grpc) in [
        (3, "rejected", "rejected"),
        (7, "unauthorized", "unauthorized"),
        (8, "throttled", "misconfigured"),
        (12, "misconfigured", "misconfigured"),
        (13, "retry", "misconfigured"),
        (14, "retry", "retry"),
        (16, "unauthorized", "unauthorized"),
    ] {
        for (outcome, name) in outcomes(code, 0).iter().zip([over_http, over_grpc]) {
            check_outcome(outcome, name, "refused by the test");
        }
    }
    assert_eq!(collector.accepted(), [] as [Value; 0]);
}

#[test]
fn both_protocols_verify_the_receiver_and_show_a_client_certificate() {
    let harness = Harness::of_crate();
    let folder = harness.new_folder();
    let authority = Authority::new(&folder);
    let [own, client] = ["localhost", "client"].map(|name| authority.issue(name));
    let tls = OtlpTls {
        authority: &authority.certificate,
        certificate: &own.certificate,
        key: &own.key,
    };
    let Some(collector) = OtlpCollector::start_with(&folder, Some(&tls)) else {
        return;
    };
    for protocol in PROTOCOLS {
        let mut settings = settings(&collector, protocol);
        let outcome = |settings: &Value| {
            harness
                .start(PERFORMANCE, settings)
                .send(&sample::performance(3, 2))
        };
        check_outcome(&outcome(&settings), "misconfigured", "`ca_certificate`");
        settings["ca_certificate"] = json!(authority.certificate);
        // The reason may be lost when the receiver closes the connection.
        wait_for("a refusal with its reason", || {
            let refused = outcome(&settings).err()?.to_string();
            refused.contains("client certificate").then_some(())
        });
        settings["client_certificate"] = json!(client.certificate);
        settings["client_key"] = json!(client.key);
        assert_eq!(outcome(&settings), Ok(()), "{protocol}");
    }
    assert_eq!(collector.accepted().len(), 2);
}
