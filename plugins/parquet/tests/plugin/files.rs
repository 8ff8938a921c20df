//! What pyarrow reads of the files.

use std::{collections::BTreeMap, fs, path::Path};

use delfin_plugin_api::{
    AlertBatchBuilder, NewAlert, PerformanceBatchBuilder, sample,
    testkit::{Harness, build_library, check_outcome},
};
use delfin_tests::{
    AWKWARD_TEXTS, AWKWARD_VALUES, LONG_TEXT, deliver_in_spite_of_outages,
    receivers::{S3Server, read_parquet},
};
use serde_json::{Value, json};

use crate::{ALERTS, PERFORMANCE, bucket};

const DAY: i64 = 86_400_000;
/// The begin of a day.
const START: i64 = 1_700_006_400_000;

fn time_ms(time: i64) -> i64 {
    START + time * DAY / 30
}

/// Batches of five series with one point each, on two days.
fn batches() -> Vec<Value> {
    let batch = |time: i64| {
        let series = |disk| {
            json!({
                "name": "iops",
                "labels": { "storage_id": "s", "resource_id": format!("d{disk}") },
                "values": { time_ms(time).to_string(): time as f64 / 4.0 },
            })
        };
        Value::from_iter((0..5).map(series))
    };
    (0..45).map(batch).collect()
}

/// The points that the files have, each once.
fn points(folder: &Path) -> Option<BTreeMap<(String, i64), String>> {
    let rows = read_parquet(folder)?;
    let point = |row: &Value| {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        (
            (text("resource_id"), row["time"].as_i64().unwrap()),
            text("value"),
        )
    };
    Some(rows.iter().map(point).collect())
}

fn expected() -> BTreeMap<(String, i64), String> {
    let points = (0..45_i64).flat_map(|time| {
        (0..5).map(move |disk| {
            let key = (format!("d{disk}"), time_ms(time));
            (key, format!("{:?}", time as f64 / 4.0))
        })
    });
    points.collect()
}

#[test]
fn nothing_is_missing_after_the_s3_server_was_killed_and_started() {
    let harness = Harness::of_crate();
    let Some(mut server) = S3Server::start(&harness.new_folder()) else {
        return;
    };
    let library = build_library();
    let settings = bucket(&server.url());
    deliver_in_spite_of_outages(&library, PERFORMANCE, &settings, &batches(), |is_down| {
        if is_down {
            server.kill();
        } else {
            server.restart();
        }
    });
    let Some(points) = points(&server.bucket().join("performance")) else {
        return;
    };
    assert_eq!(points, expected());
}

#[test]
fn nothing_is_missing_after_the_folder_was_not_there() {
    let folder = Harness::of_crate().new_folder();
    let target = folder.join("target");
    fs::create_dir_all(&target).unwrap();
    let library = build_library();
    let settings = json!({ "folder": target.join("files") });
    deliver_in_spite_of_outages(&library, PERFORMANCE, &settings, &batches(), |is_down| {
        // A file in the place of a folder, as where a mount is missing.
        let away = folder.join("away");
        if is_down {
            fs::rename(&target, &away).unwrap();
            fs::write(&target, "").unwrap();
        } else {
            fs::remove_file(&target).unwrap();
            fs::rename(&away, &target).unwrap();
        }
    });
    let Some(points) = points(&target.join("files/performance")) else {
        return;
    };
    assert_eq!(points, expected());
}

#[test]
fn awkward_labels_and_values_arrive_as_the_readme_says() {
    let harness = Harness::of_crate();
    let folder = harness.new_folder();
    let mut texts = AWKWARD_TEXTS.to_vec();
    texts.push("/../%2F");
    let values = AWKWARD_VALUES;
    let mut batch = PerformanceBatchBuilder::new();
    for &text in &texts {
        let labels = [
            ("storage_id", text),
            ("resource_id", text),
            ("name", "array"),
            ("odd \"label\"\n", text),
        ];
        batch.series("iops", labels, (1..).zip(values)).unwrap();
    }
    batch.series("none", [("a", "b")], []).unwrap();
    batch.series("bare", [("a", "b")], [(-1, 1.0)]).unwrap();
    let batch = batch.build();
    let mut exporter = harness.start(PERFORMANCE, &json!({ "folder": folder }));
    // The second time as if the response was lost.
    for _ in 0..2 {
        assert_eq!(exporter.send(&batch), Ok(()));
    }
    let Some(rows) = read_parquet(&folder.join("performance")) else {
        return;
    };
    let mut stored = BTreeMap::<_, Vec<_>>::new();
    for row in rows.iter().filter(|row| row["name"] == "iops") {
        let text = row["resource_id"].as_str().unwrap();
        assert_eq!(row["storage_name"], "array");
        assert_eq!(row["date"], "1970-01-01");
        assert_eq!((&row["unit"], &row["type"]), (&Value::Null, &Value::Null));
        let mut labels = json!({ "odd \"label\"\n": text });
        // No path can hold these ids.
        if text.is_empty() || text == LONG_TEXT {
            labels["storage_id"] = json!(text);
            assert_eq!(row["storage_id"], Value::Null);
        } else {
            assert_eq!(row["storage_id"], text);
        }
        assert_eq!(row["labels"], labels);
        let values = stored.entry(text.to_owned()).or_default();
        values.push(row["value"].as_str().unwrap().to_owned());
    }
    let expected = [
        "0.30000000000000004",
        "1.7976931348623157e+308",
        "-0.0",
        "nan",
        "inf",
        "-inf",
    ];
    let expected = expected.map(str::to_owned).to_vec();
    let texts = texts.into_iter().map(str::to_owned);
    let expected: BTreeMap<_, _> = texts.map(|text| (text, expected.clone())).collect();
    assert_eq!(stored, expected);
    let bare: Vec<_> = rows.iter().filter(|row| row["name"] != "iops").collect();
    assert_eq!(bare.len(), 1);
    assert_eq!(bare[0]["date"], "1969-12-31");
    assert_eq!(bare[0]["labels"], json!({ "a": "b" }));
}

#[test]
fn alerts_have_their_columns_and_extra_fields() {
    let harness = Harness::of_crate();
    let folder = harness.new_folder().join("files");
    let mut exporter = harness.start(ALERTS, &json!({ "folder": folder }));
    assert_eq!(exporter.outcome_of("health"), Ok(()));
    assert!(!folder.exists(), "a check creates nothing");
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
    assert_eq!(exporter.send(&batch.build()), Ok(()));
    assert_eq!(exporter.outcome_of("health"), Ok(()));
    let Some(rows) = read_parquet(&folder.join("alerts")) else {
        return;
    };
    assert_eq!(rows.len(), 51);
    let odd: Vec<_> = rows.iter().filter(|row| row["severity"] == "Odd").collect();
    assert_eq!(odd.len(), 1);
    for (column, value) in [
        ("description", json!("say \"no\"\n🦀")),
        ("occur_time", json!(1_700_000_000_123_i64)),
        ("storage_id", Value::Null),
        ("date", json!("2023-11-14")),
        ("vendor", Value::Null),
        ("extra", json!({ "fan=1": "" })),
    ] {
        assert_eq!(odd[0][column], value, "{column}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_pauses_the_exporter() {
    let harness = Harness::of_crate();
    let folder = harness.new_folder();
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("file");
    fs::write(&file, "").unwrap();
    let mut exporter = harness.start(PERFORMANCE, &json!({ "folder": file.join("below") }));
    let outcome = exporter.send(&sample::performance(1, 1));
    check_outcome(&outcome, "misconfigured", "or name another path");
    let mut batch = PerformanceBatchBuilder::new();
    let days = (0..1001).map(|day| (day * DAY, 1.0));
    batch.series("iops", [("a", "b")], days).unwrap();
    check_outcome(&exporter.send(&batch.build()), "too large", "1001 days");
}
