//! What a stream gets.

use std::collections::BTreeSet;

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, NewAlert, PerformanceBatchBuilder, sample, testkit::Harness,
};
use delfin_tests::{LONG_TEXT, wait_for};
use serde_json::{Value, json};

use crate::{
    ALERTS, PERFORMANCE,
    support::{Server, deliver},
};

/// `count` alerts whose numbers begin with `start`.
fn alerts(start: usize, count: usize) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    for number in start..start + count {
        let number = number.to_string();
        batch.alert(NewAlert {
            occur_time: sample::START_MS,
            texts: &[("storage_id", "s"), ("sequence_number", number.as_str())],
        });
    }
    batch.build()
}

#[test]
fn nothing_is_missing_after_nats_was_killed_and_started() {
    let harness = Harness::of_crate();
    let Some(mut server) = Server::start("") else {
        return;
    };
    let mut exporter = harness.start(ALERTS, &server.settings());
    let sender = std::thread::spawn(move || {
        (0..60).for_each(|batch| deliver(&mut exporter, &alerts(batch * 100, 100), batch as u128));
    });
    for reached in [500, 2500] {
        wait_for("messages", || (server.count() >= reached).then_some(()));
        server.nats.kill();
        server.nats.restart();
    }
    sender.join().unwrap();
    let numbers: BTreeSet<usize> = server
        .messages()
        .iter()
        .map(|(_, _, alert)| alert["sequence_number"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers, (0..6000).collect());
}

#[test]
fn rows_that_are_sent_again_are_in_the_stream_once() {
    let harness = Harness::of_crate();
    let Some(server) = Server::start("") else {
        return;
    };
    let mut exporter = harness.start(ALERTS, &server.settings());
    assert_eq!(exporter.send(&alerts(0, 50)), Ok(()));
    assert_eq!(exporter.outcome_of("close"), Ok(()));
    // With a new connection, as after a lost answer.
    assert_eq!(exporter.send(&alerts(0, 50)), Ok(()));
    assert_eq!(server.count(), 50);
}

#[test]
fn awkward_labels_and_values_arrive_as_the_readme_says() {
    let harness = Harness::of_crate();
    let Some(server) = Server::start("") else {
        return;
    };
    let texts = [
        ("\"quoted\" \\back", "\"quoted\"_\\back".to_owned()),
        ("a.b*c>d", "a_b_c_d".to_owned()),
        ("line\nbreak\r\0", "line_break__".to_owned()),
        ("grüße🦀", "grüße🦀".to_owned()),
        ("", "_".to_owned()),
        (LONG_TEXT, "x".repeat(255)),
    ];
    let values = [0.1 + 0.2, f64::MAX, f64::NAN, f64::INFINITY, -0.0];
    let mut batch = PerformanceBatchBuilder::new();
    for (text, _) in &texts {
        let labels = [("storage_id", *text), ("odd \"label\"\n", *text)];
        batch.series("iops", labels, (1..).zip(values)).unwrap();
    }
    deliver(
        &mut harness.start(PERFORMANCE, &server.settings()),
        &batch.build(),
        0,
    );
    let found: Vec<_> = server
        .messages()
        .into_iter()
        .map(|(subject, _, payload)| (subject, payload))
        .collect();
    let expected: Vec<(String, Value)> = texts
        .iter()
        .map(|(text, token)| {
            let series = json!([{
                "name": "iops",
                "labels": { "storage_id": text, "odd \"label\"\n": text },
                "values": { "1": 0.1 + 0.2, "2": f64::MAX, "5": -0.0 },
            }]);
            (format!("delfin.performance.{token}"), series)
        })
        .collect();
    assert_eq!(found, expected);
}
