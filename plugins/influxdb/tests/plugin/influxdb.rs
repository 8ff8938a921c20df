//! What a real InfluxDB stores.

use std::collections::BTreeMap;

use delfin_plugin_api::{
    AlertBatchBuilder, NewAlert, PerformanceBatch, PerformanceBatchBuilder, sample,
    testkit::{Harness, TestInstance, check_outcome},
};
use delfin_tests::{LONG_TEXT, receivers::InfluxDb, wait_for};
use serde_json::{Value, json};

use crate::{ALERTS, PERFORMANCE};

/// Points by time of one series, with its tags.
type Points = BTreeMap<i64, f64>;

fn settings(influxdb: &InfluxDb) -> Value {
    json!({ "url": influxdb.url(), "database": "delfin" })
}

/// Sends a batch again until it is delivered, as the host does.
fn deliver(exporter: &mut TestInstance, batch: &PerformanceBatch) {
    wait_for("a delivered batch", || exporter.send(batch).ok());
}

/// The points of the field `iops` by the tag `resource_id`.
fn points(influxdb: &InfluxDb) -> BTreeMap<String, Points> {
    let found = influxdb
        .query("SELECT iops FROM disk GROUP BY resource_id")
        .unwrap();
    let series = found.iter().map(|series| {
        let id = series["tags"]["resource_id"].as_str().unwrap().to_owned();
        let values = series["values"].as_array().unwrap().iter();
        let points = values.map(|point| {
            (
                point[0].as_i64().unwrap() / 1_000_000,
                point[1].as_f64().unwrap(),
            )
        });
        (id, points.collect())
    });
    series.collect()
}

#[test]
fn nothing_is_missing_after_influxdb_was_killed_and_started() {
    let harness = Harness::of_crate();
    let Some(mut influxdb) = InfluxDb::start(&harness.new_folder()) else {
        return;
    };
    let mut exporter = harness.start(PERFORMANCE, &settings(&influxdb));
    let sender = std::thread::spawn(move || {
        for number in 0..60_i64 {
            let mut batch = PerformanceBatchBuilder::new();
            for disk in 0..20 {
                let labels = [
                    ("resource_type", "disk".to_owned()),
                    ("resource_id", format!("d{disk}")),
                ];
                let times = number * 10..(number + 1) * 10;
                batch
                    .series("iops", labels, times.map(|time| (time, time as f64 / 4.0)))
                    .unwrap();
            }
            deliver(&mut exporter, &batch.build());
        }
    });
    let count = |influxdb: &InfluxDb| -> usize { points(influxdb).values().map(Points::len).sum() };
    for reached in [1000, 6000] {
        wait_for("points", || (count(&influxdb) >= reached).then_some(()));
        influxdb.kill();
        influxdb.restart();
    }
    sender.join().unwrap();
    let all: Points = (0..600).map(|time| (time, time as f64 / 4.0)).collect();
    let all: BTreeMap<_, _> = (0..20)
        .map(|disk| (format!("d{disk}"), all.clone()))
        .collect();
    assert_eq!(points(&influxdb), all);
}

#[test]
fn awkward_labels_and_values_arrive_as_the_readme_says() {
    let harness = Harness::of_crate();
    let Some(influxdb) = InfluxDb::start(&harness.new_folder()) else {
        return;
    };
    let texts = [
        ("\"quoted\" \\back\\slash", "\"quoted\" \\back\\slash"),
        ("line\nbreak\r\ttab", "line\\nbreak\\r\\ttab"),
        (
            "comma, equals=sign, {braces} # hash",
            "comma, equals=sign, {braces} # hash",
        ),
        ("C:\\dir\\", "C:\\dir/"),
        ("\u{1b}[31m", "\\u{1b}[31m"),
        ("grüße 数据 🦀", "grüße 数据 🦀"),
        (" ", " "),
        ("", ""),
        (LONG_TEXT, LONG_TEXT),
    ];
    let values = [
        0.1 + 0.2,
        1e-9,
        f64::MAX,
        f64::MIN_POSITIVE,
        -0.0,
        1e21,
        f64::NAN,
        f64::INFINITY,
    ];
    let mut batch = PerformanceBatchBuilder::new();
    for (text, _) in texts {
        let labels = [("resource_type", "disk"), ("resource_id", text)];
        batch.series("iops", labels, (1..).zip(values)).unwrap();
    }
    deliver(
        &mut harness.start(PERFORMANCE, &settings(&influxdb)),
        &batch.build(),
    );
    let points_of_each: Points = (1..)
        .zip(values.into_iter().filter(|value| value.is_finite()))
        .collect();
    let expected: BTreeMap<_, _> = texts
        .iter()
        .map(|(_, tag)| ((*tag).to_owned(), points_of_each.clone()))
        .collect();
    assert_eq!(points(&influxdb), expected);
}

#[test]
fn valid_rows_are_stored_and_refused_ones_are_rejected() {
    let harness = Harness::of_crate();
    let Some(influxdb) = InfluxDb::start(&harness.new_folder()) else {
        return;
    };
    let mut exporter = harness.start(PERFORMANCE, &settings(&influxdb));
    let series = |ids: &[&str], time: i64| {
        let mut batch = PerformanceBatchBuilder::new();
        for id in ids {
            let labels = [("resource_type", "disk"), ("resource_id", *id)];
            batch.series("iops", labels, [(time, 1.0)]).unwrap();
        }
        batch.build()
    };
    // Longer than the 65,535 bytes that a series may have in InfluxDB.
    let long = "x".repeat(70_000);
    let outcome = exporter.send(&series(&["a", &long, "b"], 1));
    check_outcome(&outcome, "rejected", "400");
    assert_eq!(
        points(&influxdb).into_keys().collect::<Vec<_>>(),
        ["a", "b"]
    );
    // What the host does then.
    check_outcome(&exporter.send(&series(&[&long], 1)), "rejected", "400");
    assert_eq!(exporter.send(&series(&["a"], 1)), Ok(()));

    let other = json!({ "url": influxdb.url(), "database": "other" });
    let outcome = harness.start(PERFORMANCE, &other).send(&series(&["a"], 1));
    check_outcome(&outcome, "misconfigured", "database not found");
    assert_eq!(exporter.outcome_of("health"), Ok(()));
    let health = harness.start(PERFORMANCE, &other).outcome_of("health");
    assert!(
        matches!(
            health,
            Ok(()) | Err(delfin_plugin_api::Failure::Misconfigured { .. })
        ),
        "{health:?}"
    );
}

#[test]
fn each_alert_is_a_point_also_if_it_is_sent_twice() {
    let harness = Harness::of_crate();
    let Some(influxdb) = InfluxDb::start(&harness.new_folder()) else {
        return;
    };
    let mut exporter = harness.start(ALERTS, &settings(&influxdb));
    let alerts = sample::alerts(500);
    for _ in 0..2 {
        assert_eq!(exporter.send(&alerts), Ok(()));
    }
    let mut awkward = AlertBatchBuilder::new();
    awkward.alert(NewAlert {
        occur_time: 1,
        texts: &[
            ("severity", "Odd"),
            ("description", "say \"no\" \\ line\nbreak 🦀"),
            ("fan=1", ""),
        ],
    });
    assert_eq!(exporter.send(&awkward.build()), Ok(()));
    let count = influxdb.query("SELECT sum(count) FROM alert").unwrap();
    assert_eq!(count[0]["values"][0][1], 501);
    let found = influxdb
        .query("SELECT description FROM alert WHERE severity = 'Odd'")
        .unwrap();
    assert_eq!(found[0]["values"][0][1], "say \"no\" \\ line\nbreak 🦀");
}
