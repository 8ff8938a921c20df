//! Points and series in the tables.

use std::collections::BTreeMap;

use delfin_plugin_api::{PerformanceBatch, PerformanceBatchBuilder, sample, testkit::Harness};
use delfin_tests::{Authority, LONG_TEXT, receivers::PostgresTls, wait_for};
use serde_json::json;

use crate::{
    PERFORMANCE,
    support::{Database, deliver},
};

/// 20 series with ten points each.
fn numbered(number: i64) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    for disk in 0..20 {
        let labels = [
            ("resource_type", "disk".to_owned()),
            ("resource_id", format!("d{disk}")),
        ];
        let times = number * 10..(number + 1) * 10;
        let points = times.map(|time| (time, time as f64 / 4.0));
        batch.series("iops", labels, points).unwrap();
    }
    batch.build()
}

#[test]
fn nothing_is_missing_after_postgres_was_killed_and_started() {
    let harness = Harness::of_crate();
    let Some(mut database) = Database::start() else {
        return;
    };
    let mut exporter = harness.start(PERFORMANCE, &database.settings());
    let sender = std::thread::spawn(move || {
        (0..60).for_each(|number| deliver(&mut exporter, &numbered(number)));
    });
    let count = "SELECT count(*) FROM delfin_points";
    for reached in [1000, 6000] {
        wait_for("points", || {
            let found = database.try_query("delfin", count)?;
            (found[0].get::<_, i64>(0) >= reached).then_some(())
        });
        database.server.kill();
        database.server.restart();
    }
    sender.join().unwrap();
    let wrong = "SELECT count(*) FROM delfin_performance
                 WHERE value <> extract(epoch FROM time) * 1000 / 4";
    assert_eq!(database.count(count), 20 * 600);
    assert_eq!(database.count(wrong), 0);
    assert_eq!(database.count("SELECT count(*) FROM delfin_series"), 20);
}

#[test]
fn points_that_are_sent_again_are_there_once() {
    let harness = Harness::of_crate();
    let Some(database) = Database::start() else {
        return;
    };
    let batch = sample::performance(100, 10);
    let settings = database.settings();
    let mut exporters = [0, 1].map(|_| harness.start(PERFORMANCE, &settings));
    for exporter in &mut exporters {
        assert_eq!(exporter.send(&batch), Ok(()));
        assert_eq!(exporter.send(&batch), Ok(()));
    }
    assert_eq!(database.count("SELECT count(*) FROM delfin_points"), 1000);
    assert_eq!(database.count("SELECT count(*) FROM delfin_series"), 100);
    // Tables that are emptied meanwhile get their series again with the next connection.
    database.query("DELETE FROM delfin_series");
    assert_eq!(exporters[0].outcome_of("close"), Ok(()));
    assert_eq!(exporters[0].send(&batch), Ok(()));
    assert_eq!(database.count("SELECT count(*) FROM delfin_series"), 100);
}

#[test]
fn awkward_labels_and_values_arrive_over_tls_as_the_readme_says() {
    let harness = Harness::of_crate();
    let authority = Authority::new(&harness.new_folder());
    let issued = authority.issue("localhost");
    let tls = PostgresTls {
        certificate: &issued.certificate,
        key: &issued.key,
    };
    let Some(database) = Database::start_with(Some(&tls)) else {
        return;
    };
    let texts = [
        ("\"quoted\" \\back\\slash", "\"quoted\" \\back\\slash"),
        ("line\nbreak\r\ttab", "line\nbreak\r\ttab"),
        (
            "'; DROP TABLE delfin_points; --",
            "'; DROP TABLE delfin_points; --",
        ),
        ("nul\0 \u{1b}[31m", "nul\u{fffd} \u{1b}[31m"),
        ("grüße 数据 🦀", "grüße 数据 🦀"),
        ("", ""),
        (LONG_TEXT, LONG_TEXT),
    ];
    let values = [
        0.1 + 0.2,
        f64::MAX,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    let mut batch = PerformanceBatchBuilder::new();
    for (text, _) in texts {
        let labels = [("resource_id", text), ("odd \"label\"\n", text)];
        batch.series("iops", labels, (1..).zip(values)).unwrap();
    }
    let settings = json!({
        "address": format!("localhost:{}", database.server.port()),
        "username": "delfin",
        "password": "secret",
        "ca_certificate": authority.certificate,
    });
    deliver(&mut harness.start(PERFORMANCE, &settings), &batch.build());
    let rows = database.query(
        "SELECT resource_id, labels ->> E'odd \"label\"\\n', array_agg(value ORDER BY time)
         FROM delfin_performance GROUP BY 1, 2",
    );
    let found: BTreeMap<String, (String, Vec<u64>)> = rows
        .iter()
        .map(|row| {
            let values: Vec<f64> = row.get(2);
            let bits = values.into_iter().map(f64::to_bits);
            (row.get(0), (row.get(1), bits.collect()))
        })
        .collect();
    let bits: Vec<u64> = values.map(f64::to_bits).into();
    let expected: BTreeMap<_, _> = texts
        .iter()
        .map(|(_, text)| ((*text).to_owned(), ((*text).to_owned(), bits.clone())))
        .collect();
    assert_eq!(found, expected);
}
