//! What subscribers get.

use std::collections::BTreeSet;

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, NewAlert, PerformanceBatchBuilder, sample, testkit::Harness,
};
use delfin_tests::{Authority, LONG_TEXT, receivers::free_port, wait_for};
use serde_json::{Value, json};

use crate::{
    ALERTS, PERFORMANCE,
    support::{Broker, deliver, parts},
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
fn nothing_is_missing_after_the_broker_was_stopped_and_started() {
    let harness = Harness::of_crate();
    let Some(mut broker) = Broker::start("") else {
        return;
    };
    let subscriber = broker.subscribe("subscriber");
    let mut exporter = harness.start(ALERTS, &broker.settings());
    let sender = std::thread::spawn(move || {
        (0..60).for_each(|batch| deliver(&mut exporter, &alerts(batch * 100, 100)));
    });
    for reached in [500, 2500] {
        subscriber.wait(reached);
        broker.mosquitto.stop();
        broker.mosquitto.restart();
    }
    sender.join().unwrap();
    let numbers = || -> BTreeSet<usize> {
        let messages = subscriber.wait(0);
        let alerts = messages.iter().map(|message| parts(message).1);
        alerts
            .map(|alert| alert["sequence_number"].as_str().unwrap().parse().unwrap())
            .collect()
    };
    let expected: BTreeSet<usize> = (0..6000).collect();
    wait_for("every alert", || (numbers() == expected).then_some(()));
}

#[test]
fn a_retained_message_is_there_for_a_later_subscriber() {
    let harness = Harness::of_crate();
    let Some(broker) = Broker::start("") else {
        return;
    };
    let mut settings = broker.settings();
    settings["retain"] = json!(true);
    settings["topic"] = json!("delfin/{storage_id}/{sequence_number}");
    let mut exporter = harness.start(ALERTS, &settings);
    assert_eq!(exporter.send(&alerts(1, 2)), Ok(()));
    assert_eq!(exporter.send(&alerts(2, 2)), Ok(()));
    let messages = broker.subscribe("late").wait(3);
    let topics: BTreeSet<_> = messages.iter().map(|message| parts(message).0).collect();
    assert_eq!(
        topics,
        ["1", "2", "3"]
            .map(|number| format!("delfin/s/{number}"))
            .into()
    );
    let properties = messages[0].properties.clone().unwrap();
    assert_eq!(properties.content_type.as_deref(), Some("application/json"));
    let own = |name: &str| {
        let mut found = properties.user_properties.iter();
        found
            .find(|(key, _)| key == name)
            .map(|(_, value)| &**value)
    };
    assert_eq!(
        (own("source"), own("origin")),
        (Some("delfin-host"), Some("ingest"))
    );
    assert!(own("batch-id").is_some() && own("message-id").is_some());
}

#[test]
fn awkward_labels_and_values_arrive_over_tls_as_the_readme_says() {
    let harness = Harness::of_crate();
    let authority = Authority::new(&harness.new_folder());
    let issued = authority.issue("localhost");
    let tls_port = free_port();
    let Some(broker) = Broker::start(&format!(
        "listener {tls_port} 127.0.0.1\ncertfile {}\nkeyfile {}\ncafile {}\nrequire_certificate true",
        issued.certificate.display(),
        issued.key.display(),
        authority.certificate.display(),
    )) else {
        return;
    };
    let subscriber = broker.subscribe("subscriber");
    let texts = [
        ("\"quoted\" \\back", "\"quoted\" \\back".to_owned()),
        ("a/b+c#d", "a_b_c_d".to_owned()),
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
    let settings = json!({
        "address": format!("localhost:{tls_port}"),
        "message_format": "json",
        "ca_certificate": authority.certificate,
        "client_certificate": issued.certificate,
        "client_key": issued.key,
    });
    deliver(&mut harness.start(PERFORMANCE, &settings), &batch.build());
    let expected: Vec<(String, Value)> = texts
        .iter()
        .map(|(text, level)| {
            let series = json!([{
                "name": "iops",
                "labels": { "storage_id": text, "odd \"label\"\n": text },
                "values": { "1": 0.1 + 0.2, "2": f64::MAX, "5": -0.0 },
            }]);
            (format!("delfin/performance/{level}"), series)
        })
        .collect();
    let found: Vec<_> = subscriber.wait(texts.len()).iter().map(parts).collect();
    assert_eq!(found, expected);
}
