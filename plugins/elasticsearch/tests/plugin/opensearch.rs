//! What a real OpenSearch stores.

use std::collections::{BTreeMap, BTreeSet};

use delfin_plugin_api::{
    AlertBatchBuilder, Failure, NewAlert, PerformanceBatchBuilder, RowFailureKind, sample,
    testkit::{Harness, build_library},
};
use delfin_tests::{AWKWARD_TEXTS, deliver_in_spite_of_outages, receivers::OpenSearch};
use serde_json::{Value, json};

use crate::{ALERTS, PERFORMANCE};

fn sources(opensearch: &OpenSearch, data_stream: &str) -> Vec<Value> {
    let hits = opensearch.search(data_stream).unwrap_or_default();
    hits.iter().map(|hit| hit["_source"].clone()).collect()
}

#[test]
fn a_server_keeps_what_the_readme_says() {
    let harness = Harness::of_crate();
    let Some(mut opensearch) = OpenSearch::start(&harness.new_folder()) else {
        return;
    };
    let settings = json!({ "url": opensearch.url() });
    nothing_is_missing_after_a_kill(&mut opensearch, &settings);
    awkward_texts_and_values_arrive(&harness, &opensearch, &settings);
    only_the_row_of_a_conflict_is_refused(&harness, &opensearch, &settings);
    an_alert_that_is_sent_again_is_stored_once(&harness, &opensearch, &settings);
}

/// With a host that sends, and that is killed as well.
fn nothing_is_missing_after_a_kill(opensearch: &mut OpenSearch, settings: &Value) {
    let mut batches = Vec::new();
    let mut expected = BTreeSet::new();
    for time in 0..45_i64 {
        let disks = (0..5).map(|disk| {
            expected.insert((format!("d{disk}"), time));
            json!({
                "name": "iops",
                "labels": { "storage_id": "s", "resource_id": format!("d{disk}") },
                "values": { time.to_string(): time as f64 / 4.0 },
            })
        });
        batches.push(Value::from_iter(disks));
    }
    let library = build_library();
    deliver_in_spite_of_outages(&library, PERFORMANCE, settings, &batches, |is_down| {
        if is_down {
            opensearch.kill();
        } else {
            opensearch.restart();
        }
    });
    let stored = sources(opensearch, "metrics-delfin-default");
    // Nothing is there twice either.
    assert_eq!(stored.len(), expected.len());
    let of = |document: &Value| {
        let time = document["@timestamp"].as_i64().unwrap();
        assert_eq!(document["value"], time as f64 / 4.0);
        let disk = document["labels"]["resource_id"].as_str().unwrap();
        (disk.to_owned(), time)
    };
    assert_eq!(stored.iter().map(of).collect::<BTreeSet<_>>(), expected);
    assert!(opensearch.is_data_stream("metrics-delfin-default"));
}

fn awkward_texts_and_values_arrive(harness: &Harness, opensearch: &OpenSearch, settings: &Value) {
    let mut settings = settings.clone();
    settings["data_stream"] = json!("awkward");
    let mut exporter = harness.start(PERFORMANCE, &settings);
    let texts = AWKWARD_TEXTS;
    let values = [
        0.1 + 0.2,
        1e-9,
        f64::MAX,
        f64::MIN_POSITIVE,
        -0.0,
        f64::NAN,
        f64::INFINITY,
    ];
    let mut batch = PerformanceBatchBuilder::new();
    for text in texts {
        let labels = [("resource_id", text), ("a.b", "1"), ("a", "2"), ("", "3")];
        batch.series("iops", labels, (1..).zip(values)).unwrap();
    }
    // The second time as if the response was lost.
    let batch = batch.build();
    for _ in 0..2 {
        assert_eq!(exporter.send(&batch), Ok(()));
    }
    let documents = sources(opensearch, "awkward");
    assert_eq!(documents.len(), texts.len() * 5);
    let mut stored: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
    for document in documents {
        let labels = &document["labels"];
        assert_eq!(
            (&labels["a_b"], &labels["a"], &labels["_"]),
            (&json!("1"), &json!("2"), &json!("3"))
        );
        let text = labels["resource_id"].as_str().unwrap().to_owned();
        let point = (
            document["@timestamp"].as_i64().unwrap(),
            document["value"].as_f64().unwrap(),
        );
        stored.entry(text).or_default().insert(point.0, point.1);
    }
    let finite: BTreeMap<_, _> = (1..)
        .zip(values)
        .filter(|(_, value)| value.is_finite())
        .collect();
    let expected = texts.map(|text| (text.to_owned(), finite.clone()));
    assert_eq!(stored, BTreeMap::from(expected));
}

fn only_the_row_of_a_conflict_is_refused(
    harness: &Harness,
    opensearch: &OpenSearch,
    settings: &Value,
) {
    let mappings =
        json!({ "properties": { "labels": { "properties": { "port": { "type": "long" } } } } });
    opensearch.create_index("conflict", &mappings);
    let mut settings = settings.clone();
    settings["data_stream"] = json!("conflict");
    settings["template"] = json!(false);
    let mut exporter = harness.start(PERFORMANCE, &settings);
    let mut batch = PerformanceBatchBuilder::new();
    for port in ["1", "two", "3"] {
        batch
            .series("iops", [("port", port)], [(1, 1.0), (2, 2.0)])
            .unwrap();
    }
    let Err(Failure::Partial { rows, .. }) = exporter.send(&batch.build()) else {
        panic!("not partial")
    };
    assert_eq!(
        (rows.len(), rows[0].rows.clone(), rows[0].kind),
        (1, 1..2, RowFailureKind::Rejected)
    );
    assert!(
        rows[0].reason.contains("failed to parse"),
        "{}",
        rows[0].reason
    );
    assert_eq!(sources(opensearch, "conflict").len(), 4);
}

fn an_alert_that_is_sent_again_is_stored_once(
    harness: &Harness,
    opensearch: &OpenSearch,
    settings: &Value,
) {
    let mut exporter = harness.start(ALERTS, settings);
    for _ in 0..2 {
        assert_eq!(exporter.send(&sample::alerts(50)), Ok(()));
    }
    let mut batch = AlertBatchBuilder::new();
    let long = "long ".repeat(2_000);
    for (severity, description) in [("Odd", "say \"no\"\n🦀"), ("Long", &*long)] {
        batch.alert(NewAlert {
            occur_time: 1,
            texts: &[
                ("severity", severity),
                ("description", description),
                ("fan.no", ""),
            ],
        });
    }
    assert_eq!(exporter.send(&batch.build()), Ok(()));
    let stored = sources(opensearch, "logs-delfin-default");
    assert_eq!(stored.len(), 52);
    let odd = stored
        .iter()
        .find(|document| document["severity"] == "Odd")
        .unwrap();
    assert_eq!(odd["message"], "say \"no\"\n🦀");
    assert_eq!(odd["extra"]["fan_no"], "");
    assert_eq!(exporter.outcome_of("health"), Ok(()));
}
