//! What streams get.

use std::collections::BTreeSet;

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, NewAlert, PerformanceBatchBuilder, sample, testkit::Harness,
};
use delfin_tests::{LONG_TEXT, wait_for};
use serde_json::json;

use crate::{
    ALERTS, PERFORMANCE,
    support::{Server, deliver, payload},
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
fn nothing_is_missing_after_redis_was_killed_and_started() {
    let harness = Harness::of_crate();
    let Some(mut server) = Server::start("") else {
        return;
    };
    let mut exporter = harness.start(ALERTS, &server.settings());
    let sender = std::thread::spawn(move || {
        (0..60).for_each(|batch| deliver(&mut exporter, &alerts(batch * 100, 100)));
    });
    let stream = "delfin:alerts:s";
    for reached in [500, 2500] {
        wait_for("messages", || {
            (server.count(stream) >= reached).then_some(())
        });
        server.redis.kill();
        server.redis.restart();
    }
    sender.join().unwrap();
    let messages = server.messages(stream);
    let number = |message| {
        payload(message)["sequence_number"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    let numbers: Vec<usize> = messages.iter().map(number).collect();
    let each: BTreeSet<usize> = numbers.iter().copied().collect();
    assert_eq!(each, (0..6000).collect());
    // What is there twice is a part that was sent again, with the same id.
    let ids: BTreeSet<_> = messages
        .iter()
        .map(|message| message["message-id"].to_string())
        .collect();
    assert!(ids.len() <= 100, "{}", ids.len());
    assert_eq!(numbers.last(), Some(&5999));
}

#[test]
fn a_stream_keeps_the_messages_that_the_setting_says() {
    let harness = Harness::of_crate();
    let Some(server) = Server::start("") else {
        return;
    };
    let mut settings = server.settings();
    settings["stream"] = json!("s");
    settings["max_length"] = json!(100);
    let mut exporter = harness.start(ALERTS, &settings);
    assert_eq!(exporter.send(&sample::alerts(1000)), Ok(()));
    // Redis removes whole nodes of a stream: by default 100 messages each.
    let count = server.count("s");
    assert!((100..=200).contains(&count), "{count}");
    settings["max_length"] = json!(0);
    let mut exporter = harness.start(ALERTS, &settings);
    assert_eq!(exporter.send(&sample::alerts(1000)), Ok(()));
    assert_eq!(server.count("s"), count + 1000);
}

#[test]
fn awkward_labels_and_values_arrive_as_the_readme_says() {
    let harness = Harness::of_crate();
    let Some(server) = Server::start("") else {
        return;
    };
    let texts = [
        ("\"quoted\" \\back", "\"quoted\" \\back".to_owned()),
        ("a:b*{c}", "a:b*{c}".to_owned()),
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
    );
    for (text, name) in texts {
        let messages = server.messages(&format!("delfin:performance:{name}"));
        assert_eq!(messages.len(), 1, "{name}");
        let message = &messages[0];
        let series = json!([{
            "name": "iops",
            "labels": { "storage_id": text, "odd \"label\"\n": text },
            "values": { "1": 0.1 + 0.2, "2": f64::MAX, "5": -0.0 },
        }]);
        assert_eq!(payload(message), series);
        assert_eq!(
            (
                &message["content-type"],
                &message["source"],
                &message["origin"]
            ),
            (
                &json!("application/json"),
                &json!("delfin-host"),
                &json!("ingest")
            )
        );
    }
}
