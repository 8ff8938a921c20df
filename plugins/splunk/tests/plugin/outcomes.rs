//! What arrives at a collector, and the outcomes that its responses become.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use delfin_plugin_api::{
    AlertBatchBuilder, Batch, Failure, NewAlert, Outcome, PerformanceBatch,
    PerformanceBatchBuilder, RowFailureKind, sample,
    testkit::{CallOptions, Harness, TestReceiver, TestResponse, build_library, check_outcome},
};
use delfin_tests::{AWKWARD_TEXTS, AWKWARD_VALUES, deliver_in_spite_of_outages};
use serde_json::json;

use crate::{ALERTS, PERFORMANCE, collector::Collector};

/// Little time for acknowledgements.
fn short() -> CallOptions {
    CallOptions {
        remaining: Duration::from_secs(3),
        ..CallOptions::default()
    }
}

fn series(hosts: &[&str]) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    for host in hosts {
        let labels = [("storage_name", *host)];
        batch.series("iops", labels, [(1, 1.0), (2, 2.0)]).unwrap();
    }
    batch.build()
}

#[test]
fn a_row_is_delivered_when_it_is_indexed() {
    let collector = Collector::start();
    let harness = Harness::of_crate();
    let mut exporter = harness.start(PERFORMANCE, &collector.settings());
    // Several requests, which wait together.
    let batch = sample::performance(3_000, 4);
    assert_eq!(exporter.send(&batch), Ok(()));
    assert_eq!(collector.indexed().len() as u64, batch.items());
    assert!(collector.accepted_requests() > 2);
    assert_eq!(exporter.outcome_of("health"), Ok(()));

    let mut alerts = AlertBatchBuilder::new();
    let texts = AWKWARD_TEXTS;
    for text in texts {
        alerts.alert(NewAlert {
            occur_time: 1_700_000_000_000,
            texts: &[("alert_id", "7"), ("description", text), ("fan=1", text)],
        });
    }
    let before = collector.indexed().len();
    assert_eq!(
        harness
            .start(ALERTS, &collector.settings())
            .send(&alerts.build()),
        Ok(())
    );
    for (event, text) in collector.indexed()[before..].iter().zip(texts) {
        assert_eq!(
            (&event["event"]["description"], &event["event"]["fan=1"]),
            (&json!(text), &json!(text))
        );
    }
}

#[test]
fn awkward_labels_and_values_arrive_as_the_readme_says() {
    let collector = Collector::start();
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &collector.settings());
    let texts = AWKWARD_TEXTS;
    let values = AWKWARD_VALUES;
    let mut batch = PerformanceBatchBuilder::new();
    for text in texts {
        batch
            .series("iops", [("resource_id", text)], (1..).zip(values))
            .unwrap();
    }
    assert_eq!(exporter.send(&batch.build()), Ok(()));
    let mut stored: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for event in collector.indexed() {
        let fields = &event["fields"];
        // An empty dimension is left out.
        let text = fields["resource_id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        stored
            .entry(text)
            .or_default()
            .push(fields["metric_name:iops"].as_f64().unwrap());
    }
    let finite: Vec<f64> = values
        .into_iter()
        .filter(|value| value.is_finite())
        .collect();
    assert_eq!(
        stored,
        texts.map(|text| (text.to_owned(), finite.clone())).into()
    );
}

#[test]
fn events_that_are_not_acknowledged_yet_are_not_sent_again_until_the_time_is_over() {
    let collector = Collector::start();
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &collector.settings());
    collector.set_stuck(true);
    for _ in 0..2 {
        let outcome = exporter.send_with(&series(&["a", "b"]), &short());
        check_outcome(&outcome, "retry", "has not acknowledged");
    }
    assert_eq!(
        (collector.accepted_requests(), collector.indexed().len()),
        (1, 0)
    );
    collector.set_stuck(false);
    assert_eq!(exporter.send(&series(&["a", "b"])), Ok(()));
    assert_eq!(
        (collector.accepted_requests(), collector.indexed().len()),
        (1, 4)
    );

    let mut settings = collector.settings();
    settings["acknowledgement_timeout"] = json!("1s");
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &settings);
    collector.set_stuck(true);
    for sent in [2, 3] {
        let outcome = exporter.send_with(&series(&["c"]), &short());
        check_outcome(&outcome, "retry", "has not acknowledged");
        assert_eq!(collector.accepted_requests(), sent);
    }
}

#[test]
fn nothing_is_missing_after_the_collector_was_stopped_and_started() {
    let collector = Collector::start();
    let mut settings = collector.settings();
    settings["acknowledgement_timeout"] = json!("1s");
    let names: BTreeSet<_> = (0..30).map(|number| format!("n{number}")).collect();
    let batches: Vec<_> = names
        .iter()
        .map(|name| {
            let labels = json!({ "storage_id": "s", "storage_name": name });
            json!([{ "name": "iops", "labels": labels, "values": { "1": 1.0, "2": 2.0 } }])
        })
        .collect();
    let library = build_library();
    // What was accepted is lost if it is not indexed.
    deliver_in_spite_of_outages(&library, PERFORMANCE, &settings, &batches, |is_down| {
        collector.set_down(is_down);
    });
    let indexed = collector.indexed().into_iter();
    let indexed: BTreeSet<_> = indexed
        .map(|event| (event["host"].to_string(), event["time"].to_string()))
        .collect();
    let both =
        |name: &String| ["0.001", "0.002"].map(|time| (format!("\"{name}\""), time.to_owned()));
    assert_eq!(indexed, names.iter().flat_map(both).collect());
}

#[test]
fn an_event_that_was_accepted_and_lost_is_sent_again() {
    let collector = Collector::start();
    let mut settings = collector.settings();
    settings["acknowledgement_timeout"] = json!("1ms");
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &settings);
    let batch = series(&["a"]);
    collector.set_stuck(true);
    check_outcome(&exporter.send_with(&batch, &short()), "retry", "");
    collector.set_down(true);
    collector.set_down(false);
    collector.set_stuck(false);
    assert_eq!(collector.indexed().len(), 0);
    assert_eq!(exporter.send(&batch), Ok(()));
    assert_eq!(collector.indexed().len(), 2);
}

#[test]
fn only_the_row_of_a_refused_event_becomes_a_dead_letter() {
    let collector = Collector::start();
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &collector.settings());
    let Err(Failure::Partial { rows, .. }) = exporter.send(&series(&["a", "refused", "c"])) else {
        panic!("not partial")
    };
    let rows: Vec<_> = rows
        .iter()
        .map(|row| (row.rows.clone(), row.kind))
        .collect();
    assert_eq!(
        rows,
        [
            (0..1, RowFailureKind::Retry),
            (1..2, RowFailureKind::Rejected),
            (2..3, RowFailureKind::Retry)
        ]
    );
    // What the host does then.
    assert_eq!(exporter.send(&series(&["a", "c"])), Ok(()));
}

#[test]
fn without_acknowledgement_an_accepted_row_is_delivered() {
    let accepted = |settings: serde_json::Value| -> Outcome {
        let receiver =
            TestReceiver::start(|_| TestResponse::new(200).body(r#"{"text":"Success","code":0}"#));
        let mut settings = settings;
        settings["url"] = json!(receiver.url(""));
        Harness::of_crate()
            .start(PERFORMANCE, &settings)
            .send(&series(&["a"]))
    };
    assert_eq!(
        accepted(json!({ "token": "t", "acknowledgement": false })),
        Ok(())
    );
    let outcome = accepted(json!({ "token": "t" }));
    check_outcome(&outcome, "misconfigured", "without an acknowledgement");
}

#[test]
fn each_response_becomes_its_outcome() {
    let of = |response: TestResponse| {
        let receiver = TestReceiver::start(move |_| response.clone());
        let settings = json!({ "url": receiver.url(""), "token": "t" });
        Harness::of_crate()
            .start(PERFORMANCE, &settings)
            .send(&series(&["a", "b"]))
    };
    let check = |response, name: &str, part: &str| check_outcome(&of(response), name, part);
    let coded = |status, code: u32| {
        TestResponse::new(status).body(json!({ "text": "why", "code": code }).to_string())
    };
    check(coded(401, 2), "unauthorized", "why");
    check(coded(403, 4), "unauthorized", "why");
    // A typing error in `index` makes no dead letters.
    check(coded(400, 7), "misconfigured", "why");
    check(coded(400, 10), "misconfigured", "why");
    check(coded(400, 6), "rejected", "why");
    check(coded(503, 9), "retry", "why");
    check(coded(429, 26), "throttled", "why");
    check(coded(500, 8), "retry", "why");
    check(
        TestResponse::new(400).body("proxy"),
        "misconfigured",
        "not a response of Splunk",
    );
    check(TestResponse::new(404), "misconfigured", "");
    check(TestResponse::new(413), "too large", "");
    check(TestResponse::closed(), "uncertain", "");
    for body in ["", "<html>", "{}", r#"{"code":9}"#] {
        let response = TestResponse::new(200).body(body);
        check(
            response.clone(),
            "misconfigured",
            "not a response of Splunk",
        );
        let receiver = TestReceiver::start(move |_| response.clone());
        let settings = json!({ "url": receiver.url(""), "token": "t" });
        let outcome = Harness::of_crate()
            .start(ALERTS, &settings)
            .outcome_of("health");
        check_outcome(&outcome, "misconfigured", "not a response of Splunk");
    }
}
