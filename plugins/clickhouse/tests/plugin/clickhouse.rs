//! What the real engine of ClickHouse stores.

use std::collections::BTreeMap;

use delfin_plugin_api::{
    AlertBatchBuilder, NewAlert, PerformanceBatchBuilder, sample,
    testkit::{Harness, build_library, check_outcome},
};
use delfin_tests::{
    AWKWARD_TEXTS, AWKWARD_VALUES, deliver_in_spite_of_outages, receivers::ClickHouse,
};
use serde_json::{Value, json};

use crate::{ALERTS, PERFORMANCE};

fn settings(clickhouse: &ClickHouse) -> Value {
    json!({ "url": clickhouse.url() })
}

#[test]
fn nothing_is_missing_after_the_server_was_killed_and_started() {
    let harness = Harness::of_crate();
    let Some(mut clickhouse) = ClickHouse::start(&harness.new_folder()) else {
        return;
    };
    let batches: Vec<_> = (0..45)
        .map(|time| {
            let series = |disk| {
                json!({
                    "name": "iops",
                    "labels": { "storage_id": "s", "resource_id": format!("d{disk}") },
                    "values": { time.to_string(): f64::from(time) / 4.0 },
                })
            };
            Value::from_iter((0..5).map(series))
        })
        .collect();
    let settings = settings(&clickhouse);
    let library = build_library();
    deliver_in_spite_of_outages(&library, PERFORMANCE, &settings, &batches, |is_down| {
        if is_down {
            clickhouse.kill();
        } else {
            clickhouse.restart();
        }
    });
    let found = clickhouse.query(
        "SELECT uniqExact(labels['resource_id'], time, value) AS points, max(value) AS most FROM delfin_performance_points",
    );
    assert_eq!(found.unwrap(), [json!({ "points": 225, "most": 11 })]);
}

#[test]
fn awkward_labels_and_values_arrive_as_the_readme_says() {
    let harness = Harness::of_crate();
    let Some(clickhouse) = ClickHouse::start(&harness.new_folder()) else {
        return;
    };
    let texts = AWKWARD_TEXTS;
    let values = AWKWARD_VALUES;
    let mut batch = PerformanceBatchBuilder::new();
    for text in texts {
        let labels = [("resource_id", text), ("odd \"label\"\n", text)];
        batch.series("iops", labels, (1..).zip(values)).unwrap();
    }
    batch.series("none", [("a", "b")], []).unwrap();
    let mut exporter = harness.start(PERFORMANCE, &settings(&clickhouse));
    let batch = batch.build();
    // The second time as if the response was lost.
    for _ in 0..2 {
        assert_eq!(exporter.send(&batch), Ok(()));
    }
    let found = clickhouse.query(
        "SELECT labels, toString(time) AS time, toString(value) AS value FROM delfin_performance_points ORDER BY time",
    );
    let mut stored: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for point in found.unwrap() {
        let labels = &point["labels"];
        assert_eq!(labels["resource_id"], labels["odd \"label\"\n"]);
        let text = labels["resource_id"].as_str().unwrap().to_owned();
        stored
            .entry(text)
            .or_default()
            .push(point["value"].as_str().unwrap().to_owned());
    }
    let expected = [
        "0.30000000000000004",
        "1.7976931348623157e308",
        "-0",
        "nan",
        "inf",
        "-inf",
    ];
    let expected = expected.map(str::to_owned).to_vec();
    let expected = texts.map(|text| (text.to_owned(), expected.clone()));
    assert_eq!(stored, expected.into());
    let rows = clickhouse.query("SELECT toUInt32(count()) AS rows FROM delfin_performance");
    assert_eq!(rows.unwrap(), [json!({ "rows": 7 })]);

    let mut wrong = settings(&clickhouse);
    wrong["database"] = json!("nowhere");
    let outcome = harness.start(PERFORMANCE, &wrong).send(&batch);
    check_outcome(&outcome, "misconfigured", "create_table = false");
}

#[test]
fn alerts_have_their_columns_and_extra_fields() {
    let harness = Harness::of_crate();
    let Some(clickhouse) = ClickHouse::start(&harness.new_folder()) else {
        return;
    };
    let mut exporter = harness.start(ALERTS, &settings(&clickhouse));
    assert_eq!(exporter.send(&sample::alerts(50)), Ok(()));
    let mut batch = AlertBatchBuilder::new();
    batch.alert(NewAlert {
        occur_time: 1_700_000_000_123,
        texts: &[
            ("severity", "Odd"),
            ("description", "say \"no\"\n🦀"),
            ("fan=1", ""),
        ],
    });
    let mut gzip = settings(&clickhouse);
    gzip["compression"] = json!("gzip");
    let mut other = harness.start(ALERTS, &gzip);
    assert_eq!(other.send(&batch.build()), Ok(()));
    let found = clickhouse.query(
        "SELECT description, storage_id, extra, toString(time) AS time FROM delfin_alerts WHERE severity = 'Odd'",
    );
    let expected = json!({
        "description": "say \"no\"\n🦀",
        "storage_id": null,
        "extra": { "fan=1": "" },
        "time": "2023-11-14 22:13:20.123",
    });
    assert_eq!(found.unwrap(), [expected]);
    let rows = clickhouse.query("SELECT toUInt32(count()) AS rows FROM delfin_alerts");
    assert_eq!(rows.unwrap(), [json!({ "rows": 51 })]);
    assert_eq!(exporter.outcome_of("health"), Ok(()));
}
