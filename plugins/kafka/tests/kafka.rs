//! The built library with a real Apache Kafka.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod broker;
mod tls;

use std::{
    collections::BTreeMap,
    sync::OnceLock,
    time::{Duration, Instant},
};

use delfin_plugin_api::{
    Batch, Failure, Outcome, PerformanceBatch, PerformanceBatchBuilder, RowFailureKind,
    arrow_array::RecordBatch,
    decode_outcome, sample,
    testkit::{CallOptions, Harness, TestInstance},
    time::now_ms,
};
use delfin_tests::{AWKWARD_TEXTS, AWKWARD_VALUES};
use serde_json::{Value, json, value::RawValue};

use crate::broker::{Arrived, Broker, PATIENCE};

/// The broker of all tests that do not kill it. It ends with the process.
fn shared() -> Option<&'static Broker> {
    static BROKER: OnceLock<Option<Broker>> = OnceLock::new();
    let start = || Broker::start().map(Broker::throw_away);
    BROKER.get_or_init(start).as_ref()
}

fn performance(harness: &Harness, servers: &str, topic: &str, more: &Value) -> TestInstance {
    let mut settings = json!({ "bootstrap_servers": servers, "topic": topic });
    for (key, value) in more.as_object().unwrap() {
        settings[key] = value.clone();
    }
    harness.start("PerformanceExporterKafka", &settings)
}

fn export(instance: &mut TestInstance, batch: &RecordBatch, remaining: Duration) -> Outcome {
    let call = CallOptions {
        remaining,
        ..CallOptions::default()
    };
    decode_outcome(instance.export_with(batch, &call))
}

/// Delivers a batch like a host: sends failed rows again until all are delivered.
fn deliver(instance: &mut TestInstance, batch: &RecordBatch, remaining: Duration) {
    let start = Instant::now();
    let mut open = vec![batch.clone()];
    while !open.is_empty() {
        assert!(start.elapsed() < PATIENCE, "not delivered");
        let batch = open.remove(0);
        match export(instance, &batch, remaining) {
            Ok(()) => {}
            Err(Failure::Partial { rows, .. }) => {
                assert!(
                    rows.iter()
                        .all(|failure| failure.kind != RowFailureKind::Rejected),
                    "{rows:?}"
                );
                for failure in rows.iter().rev() {
                    open.insert(0, batch.slice(failure.rows.start, failure.rows.len()));
                }
            }
            Err(Failure::Retry { .. } | Failure::Uncertain { .. }) => open.insert(0, batch),
            Err(failure) => panic!("{failure:?}"),
        }
    }
}

/// A series: its name, labels and points.
type Plain = (String, BTreeMap<String, String>, BTreeMap<i64, f64>);

fn sent(batch: &PerformanceBatch) -> Vec<Plain> {
    let plain = |series: delfin_plugin_api::Series<'_>| {
        let labels = series.labels().iter();
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let points = series.points().collect();
        (series.name().to_owned(), labels.collect(), points)
    };
    batch.series().map(plain).collect()
}

fn triples(arrived: &[Arrived]) -> Vec<Plain> {
    // Not `f64`: `serde_json` rounds some numbers differently.
    type Triple<'a> = (
        String,
        BTreeMap<String, String>,
        BTreeMap<String, &'a RawValue>,
    );
    let mut plain = Vec::new();
    for message in arrived {
        let triples: Vec<Triple<'_>> = serde_json::from_slice(&message.payload).unwrap();
        for (name, labels, values) in triples {
            let values = values.into_iter();
            let points =
                values.map(|(ms, value)| (ms.parse().unwrap(), value.get().parse().unwrap()));
            plain.push((name, labels, points.collect()));
        }
    }
    plain
}

fn streams(arrived: &[Arrived]) -> Vec<Plain> {
    let mut plain = Vec::new();
    for message in arrived {
        let stream = arrow_ipc::reader::StreamReader::try_new(&*message.payload, None).unwrap();
        for batch in stream {
            plain.extend(sent(
                &PerformanceBatch::try_from_arrow(batch.unwrap()).unwrap(),
            ));
        }
    }
    plain
}

/// Numbered series of five storages, one storage after the other.
fn numbered(series: usize) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    for index in 0..series {
        let storage = format!("storage-{}", index / (series / 5));
        let number = index.to_string();
        let labels = [("storage_id", &*storage), ("resource_id", &number)];
        batch
            .series("iops", labels, [(sample::START_MS, 0.5)])
            .unwrap();
    }
    batch.build()
}

/// The numbers that arrived, by storage, in order. Checks that each storage is in one
/// partition.
fn numbers(arrived: &[Arrived]) -> BTreeMap<String, Vec<usize>> {
    let mut partitions = BTreeMap::new();
    let mut numbers = BTreeMap::<String, Vec<usize>>::new();
    for message in arrived {
        let key = message.key.clone().unwrap();
        let partition = *partitions.entry(key.clone()).or_insert(message.partition);
        assert_eq!(partition, message.partition, "{key}");
        let series: Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(series["labels"]["storage_id"], *key);
        let number = series["labels"]["resource_id"].as_str().unwrap();
        numbers
            .entry(key)
            .or_default()
            .push(number.parse().unwrap());
    }
    numbers
}

#[test]
fn all_series_of_a_large_storage_arrive_item_by_item() {
    let Some(broker) = shared() else { return };
    let harness = Harness::of_crate();
    let batch = sample::performance(31_629, 15);
    let expected = sent(&batch);
    for (format, compression) in [("delfin", "none"), ("delfin", "zstd"), ("arrow", "lz4")] {
        let topic = format!("large-{format}-{compression}");
        broker.create_topic(&topic, 3, &[]);
        let settings = json!({ "message_format": format, "compression": compression });
        let mut instance = performance(&harness, &broker.servers(), &topic, &settings);
        assert_eq!(export(&mut instance, batch.as_arrow(), PATIENCE), Ok(()));
        let arrived = broker.arrived(&topic, 3);
        let largest = arrived.iter().map(|message| message.payload.len()).max();
        assert!(largest <= Some(500_000), "{largest:?}");
        let read = if format == "arrow" {
            streams(&arrived)
        } else {
            triples(&arrived)
        };
        // All series have one key, so they have one order.
        assert!(
            read == expected,
            "{format} {compression}: {} of 31629",
            read.len()
        );
    }
}

#[test]
fn awkward_labels_and_values_arrive_as_the_readme_says() {
    let Some(broker) = shared() else { return };
    let harness = Harness::of_crate();
    let mut batch = PerformanceBatchBuilder::new();
    for text in AWKWARD_TEXTS {
        let labels = [("storage_id", "s"), ("odd \"label\"\n", text)];
        let points = (1..).zip(AWKWARD_VALUES);
        batch.series("iops", labels, points).unwrap();
    }
    let batch = batch.build();
    for format in ["delfin", "arrow"] {
        let topic = format!("awkward-{format}");
        broker.create_topic(&topic, 1, &[]);
        let settings = json!({ "message_format": format });
        let mut instance = performance(&harness, &broker.servers(), &topic, &settings);
        assert_eq!(export(&mut instance, batch.as_arrow(), PATIENCE), Ok(()));
        let arrived = broker.arrived(&topic, 1);
        let (read, is_json) = match format {
            "arrow" => (streams(&arrived), false),
            _ => (triples(&arrived), true),
        };
        let mut expected = sent(&batch);
        for (_, _, points) in &mut expected {
            // JSON has no other numbers.
            points.retain(|_, value| !is_json || value.is_finite());
        }
        // As texts: NaN does not equal itself.
        assert_eq!(format!("{read:?}"), format!("{expected:?}"), "{format}");
    }
}

#[test]
fn a_message_has_its_key_its_timestamp_and_its_headers() {
    let Some(broker) = shared() else { return };
    broker.create_topic("headers", 1, &[]);
    let harness = Harness::of_crate();
    let mut instance = performance(&harness, &broker.servers(), "headers", &json!({}));
    let batch = sample::performance(1, 1);
    let before = now_ms();
    assert_eq!(export(&mut instance, batch.as_arrow(), PATIENCE), Ok(()));
    let arrived = broker.arrived("headers", 1);
    let storage = batch.series().next().unwrap().labels().get("storage_id");
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].key.as_deref(), storage);
    let timestamp = arrived[0].timestamp.unwrap();
    assert!((before..=now_ms()).contains(&timestamp), "{timestamp}");
    let header = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let expected = [
        header("content-type", "application/json"),
        header("source", "delfin-host"),
        header("origin", "ingest"),
        header("batch-id", "07070707-0707-0707-0707-070707070707"),
    ];
    assert_eq!(arrived[0].headers, expected);
}

#[test]
fn alerts_arrive_one_by_one_and_in_order() {
    let Some(broker) = shared() else { return };
    broker.create_topic("alerts", 2, &[]);
    let harness = Harness::of_crate();
    let settings = json!({ "bootstrap_servers": broker.servers(), "topic": "alerts" });
    let mut instance = harness.start("AlertExporterKafka", &settings);
    let batch = sample::alerts(1000);
    assert_eq!(export(&mut instance, batch.as_arrow(), PATIENCE), Ok(()));
    let arrived = broker.arrived("alerts", 2);
    assert_eq!(arrived.len(), 1000);
    for (alert, message) in batch.alerts().zip(&arrived) {
        let read: Value = serde_json::from_slice(&message.payload).unwrap();
        let mut expected = json!({ "occur_time": alert.occur_time() });
        for (column, text) in alert.texts() {
            expected[column] = text.into();
        }
        assert_eq!(read, expected);
        assert_eq!(message.key.as_deref(), alert.storage_id());
    }
}

#[test]
fn a_broker_that_is_killed_and_restarted_gets_every_row() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    let harness = Harness::of_crate();
    let batch = numbered(10_000);
    // With a short queue the exporter waits, which leaves time to kill the broker.
    let short = json!({ "queue.buffering.max.messages": 20 });
    let one_by_one = json!({ "message_format": "json", "message_rows": 1, "librdkafka": short });
    for (topic, remaining) in [
        ("one-call", PATIENCE),
        ("many-calls", Duration::from_secs(2)),
    ] {
        broker.create_topic(topic, 3, &[]);
        let mut instance = performance(&harness, &broker.servers(), topic, &one_by_one);
        let rows = batch.as_arrow().clone();
        let delivery = std::thread::spawn(move || deliver(&mut instance, &rows, remaining));
        while broker.count(topic, 3) == 0 {}
        broker.kill();
        assert!(
            !delivery.is_finished(),
            "the batch was delivered before the broker was killed"
        );
        broker.run();
        delivery.join().unwrap();
        let numbers = numbers(&broker.arrived(topic, 3));
        assert_eq!(numbers.len(), 5);
        for (storage, (key, numbers)) in numbers.into_iter().enumerate() {
            let expected: Vec<_> = (storage * 2000..(storage + 1) * 2000).collect();
            if remaining == PATIENCE {
                // No duplicates within one call: the producer is idempotent.
                assert!(numbers == expected, "{key}");
            } else {
                assert!(expected == last_occurrences(&numbers), "{key}");
            }
        }
    }
}

/// Each number where it occurs last.
fn last_occurrences(numbers: &[usize]) -> Vec<usize> {
    let mut seen = std::collections::HashSet::new();
    let mut last: Vec<_> = numbers
        .iter()
        .rev()
        .filter(|number| seen.insert(**number))
        .copied()
        .collect();
    last.reverse();
    last
}

#[test]
fn a_missing_topic_pauses_the_exporter_with_its_name_and_the_remedy() {
    let Some(broker) = shared() else { return };
    let harness = Harness::of_crate();
    let mut instance = performance(&harness, &broker.servers(), "missing", &json!({}));
    let batch = sample::performance(1, 1);
    let message = "topic `missing` does not exist (create it, or name another one)".to_owned();
    let outcome = export(&mut instance, batch.as_arrow(), PATIENCE);
    assert_eq!(outcome, Err(Failure::Misconfigured { message }));
    // No restart is needed once the topic exists.
    broker.create_topic("missing", 1, &[]);
    deliver_after_pause(&mut instance, batch.as_arrow());
    assert_eq!(triples(&broker.arrived("missing", 1)), sent(&batch));
}

/// Retries like a host does with a paused exporter.
fn deliver_after_pause(instance: &mut TestInstance, batch: &RecordBatch) {
    let start = Instant::now();
    while let Err(failure) = export(instance, batch, PATIENCE) {
        assert!(start.elapsed() < PATIENCE, "{failure:?}");
    }
}

#[test]
fn a_series_that_is_too_large_for_the_topic_is_rejected_alone() {
    let Some(broker) = shared() else { return };
    broker.create_topic("small", 1, &[("max.message.bytes", "20000")]);
    let harness = Harness::of_crate();
    let mut instance = performance(&harness, &broker.servers(), "small", &json!({}));
    let mut batch = PerformanceBatchBuilder::new();
    for row in 0..300 {
        let id = row.to_string();
        let points = if row == 150 { 5000 } else { 2 };
        let points = (0..points).map(|ms| (sample::START_MS + ms, 0.1));
        let labels = [("storage_id", "s"), ("resource_id", &*id)];
        batch.series("iops", labels, points).unwrap();
    }
    let batch = batch.build();
    let outcome = export(&mut instance, batch.as_arrow(), PATIENCE);
    let Err(Failure::Partial { rows, .. }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(
        (&rows[0].rows, rows[0].kind),
        (&(150..151), RowFailureKind::Rejected)
    );
    let mut expected = sent(&batch);
    expected.remove(150);
    let arrived = triples(&broker.arrived("small", 1));
    for series in &expected {
        assert!(arrived.contains(series), "{series:?}");
    }
    assert!(arrived.ends_with(&expected[298..]));
}

#[test]
fn a_wrong_password_pauses_the_exporter_and_the_right_one_delivers() {
    let Some(broker) = shared() else { return };
    broker.create_topic("sasl", 1, &[]);
    let harness = Harness::of_crate();
    let batch = sample::performance(10, 1);
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let login = |password: &str| {
            let sasl = json!({
                "mechanism": mechanism, "username": "delfin", "password": password,
            });
            let settings = json!({ "sasl": sasl });
            let mut instance = performance(&harness, &broker.sasl_servers(), "sasl", &settings);
            export(&mut instance, batch.as_arrow(), PATIENCE)
        };
        let wrong = login("wr0ng-secret");
        let Err(Failure::Unauthorized { message }) = wrong else {
            panic!("{mechanism}: {wrong:?}");
        };
        assert!(!message.contains("wr0ng"), "{message}");
        assert_eq!(login("delfin-secret"), Ok(()), "{mechanism}");
    }
    let arrived = triples(&broker.arrived("sasl", 1));
    assert_eq!(arrived, [sent(&batch), sent(&batch)].concat());
}
