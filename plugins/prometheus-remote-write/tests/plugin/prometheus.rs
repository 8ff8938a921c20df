//! What two versions of Prometheus store: Debian's, which knows version 1.0 of remote write only,
//! and a recent one.

use std::collections::BTreeMap;

use delfin_plugin_api::{
    PerformanceBatch, PerformanceBatchBuilder, RowFailureKind,
    testkit::{Harness, TestInstance},
    time::now_ms,
};
use delfin_tests::{LONG_TEXT, receivers::Prometheus, wait_for};
use serde_json::{Value, json};

use crate::EXPORTER;

const VERSIONS: [&str; 2] = ["prometheus", "prometheus-3"];

/// Points by time of one series.
type Points = BTreeMap<i64, f64>;

fn start(harness: &Harness, version: &str) -> Option<(Prometheus, TestInstance)> {
    let prometheus = Prometheus::start_receiver(version, &harness.new_folder())?;
    let url = format!("{}/api/v1/write", prometheus.url());
    let exporter = harness.start(EXPORTER, &json!({ "url": url }));
    Some((prometheus, exporter))
}

/// Ten minutes ago, in whole seconds.
fn start_ms() -> i64 {
    now_ms() / 1000 * 1000 - 600_000
}

/// A batch of series of disks with these points.
fn disks(ids: &[&str], points: &[(i64, f64)]) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    for id in ids {
        let labels = [("resource_type", "disk"), ("resource_id", *id)];
        let added = batch.series("iops", labels, points.iter().copied());
        added.unwrap();
    }
    batch.build()
}

/// The points of `disk_iops` in the last hour by the label `resource_id`.
fn stored(prometheus: &Prometheus) -> BTreeMap<String, Points> {
    let found = prometheus.query("disk_iops[1h]").unwrap_or_default();
    let series = found.iter().map(|series| {
        let id = series["metric"]["resource_id"].as_str().unwrap_or_default();
        let values = series["values"].as_array().unwrap().iter();
        let points = values.map(|point| {
            let time = (point[0].as_f64().unwrap() * 1000.0).round() as i64;
            (time, point[1].as_str().unwrap().parse().unwrap())
        });
        (id.to_owned(), points.collect())
    });
    series.collect()
}

/// Sends a batch until it is delivered, as the host does: rows that are refused come alone.
/// Returns the ids of rejected rows.
fn deliver(exporter: &mut TestInstance, ids: &[&str], points: &[(i64, f64)]) -> Vec<String> {
    use delfin_plugin_api::Failure::{Partial, Rejected};
    wait_for("an answer about the rows", || {
        match exporter.send(&disks(ids, points)) {
            Ok(()) => Some(Vec::new()),
            Err(Rejected { .. }) if ids.len() > 1 => {
                let (one, other) = ids.split_at(ids.len() / 2);
                let mut rejected = deliver(exporter, one, points);
                rejected.extend(deliver(exporter, other, points));
                Some(rejected)
            }
            Err(Rejected { .. }) => Some(vec![ids[0].to_owned()]),
            Err(Partial { rows, .. })
                if rows.iter().all(|row| row.kind == RowFailureKind::Rejected) =>
            {
                let rejected = rows.into_iter().flat_map(|row| row.rows);
                Some(rejected.map(|row| ids[row].to_owned()).collect())
            }
            Err(_) => None,
        }
    })
}

#[test]
fn nothing_is_missing_after_prometheus_was_killed_and_started() {
    for version in VERSIONS {
        let harness = Harness::of_crate();
        let Some((mut prometheus, mut exporter)) = start(&harness, version) else {
            continue;
        };
        let ids: Vec<_> = (0..20).map(|disk| format!("d{disk}")).collect();
        let first = start_ms();
        let points = move |round: i64| -> Vec<_> {
            let times = round * 10..(round + 1) * 10;
            times
                .map(|time| (first + time * 100, time as f64 / 4.0))
                .collect()
        };
        let names = ids.clone();
        let sender = std::thread::spawn(move || {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            for round in 0..60 {
                assert_eq!(deliver(&mut exporter, &names, &points(round)), [""; 0]);
            }
        });
        let count = |prometheus: &Prometheus| -> usize {
            stored(prometheus).values().map(Points::len).sum()
        };
        for reached in [1000, 6000] {
            wait_for("points", || (count(&prometheus) >= reached).then_some(()));
            prometheus.kill();
            prometheus.restart();
        }
        sender.join().unwrap();
        let all: Points = (0..60).flat_map(points).collect();
        let all: BTreeMap<_, _> = ids.into_iter().map(|id| (id, all.clone())).collect();
        assert_eq!(stored(&prometheus), all, "{version}");
    }
}

#[test]
fn awkward_labels_and_values_arrive_as_the_readme_says() {
    for version in VERSIONS {
        let harness = Harness::of_crate();
        let Some((prometheus, mut exporter)) = start(&harness, version) else {
            continue;
        };
        let texts = [
            "\"quoted\" \\back\\slash",
            "line\nbreak\r\ttab",
            "comma, equals=sign, {braces} # hash",
            "\u{1b}[31m nul \0",
            "grüße 数据 🦀 \u{202e}right to left\u{feff}",
            " ",
            "",
            LONG_TEXT,
        ];
        let values = [
            0.1 + 0.2,
            1e-9,
            f64::MAX,
            f64::MIN_POSITIVE,
            -0.0,
            1e21,
            f64::INFINITY,
        ];
        let points: Vec<_> = (start_ms()..).zip(values).collect();
        assert_eq!(deliver(&mut exporter, &texts, &points), [""; 0]);
        let points: Points = points.into_iter().collect();
        let expected: BTreeMap<_, _> = texts
            .iter()
            .map(|text| ((*text).to_owned(), points.clone()))
            .collect();
        assert_eq!(stored(&prometheus), expected, "{version}");
        let nan = disks(&["nan"], &[(now_ms(), f64::NAN)]);
        assert_eq!(exporter.send(&nan), Ok(()));
        let found = prometheus.query("disk_iops{resource_id=\"nan\"}").unwrap();
        assert_eq!(found[0]["value"][1], "NaN", "{version}");
    }
}

#[test]
fn stale_points_are_rejected_by_row_and_the_others_are_stored() {
    for version in VERSIONS {
        let harness = Harness::of_crate();
        let Some((prometheus, mut exporter)) = start(&harness, version) else {
            continue;
        };
        let now = start_ms();
        assert_eq!(
            deliver(&mut exporter, &["new"], &[(now + 1000, 1.0)]),
            [""; 0]
        );
        // The same points again are delivered: they are stored once.
        assert_eq!(
            deliver(&mut exporter, &["new"], &[(now + 1000, 1.0)]),
            [""; 0]
        );
        let points = [(now, 5.0), (now + 2000, 6.0)];
        assert_eq!(
            deliver(&mut exporter, &["a", "new", "b"], &points),
            ["new"],
            "{version}"
        );
        let other = [(now + 2000, 7.0)];
        assert_eq!(
            deliver(&mut exporter, &["a", "c"], &other),
            ["a"],
            "{version}"
        );
        let expected = [
            ("a", points.as_slice()),
            ("b", &points),
            ("c", &other),
            // Its stale point did not take the other with it.
            ("new", &[(now + 1000, 1.0), (now + 2000, 6.0)]),
        ];
        let expected =
            expected.map(|(id, points)| (id.to_owned(), points.iter().copied().collect()));
        assert_eq!(
            stored(&prometheus),
            BTreeMap::<_, Points>::from(expected),
            "{version}"
        );
    }
}

#[test]
fn a_wrong_path_is_misconfigured_and_the_health_is_known() {
    let harness = Harness::of_crate();
    let Some((mut prometheus, mut exporter)) = start(&harness, VERSIONS[1]) else {
        return;
    };
    assert_eq!(exporter.outcome_of("health"), Ok(()));
    let url: Value = json!({ "url": format!("{}/write", prometheus.url()) });
    let mut wrong = harness.start(EXPORTER, &url);
    let check = delfin_plugin_api::testkit::check_outcome;
    check(
        &wrong.send(&disks(&["a"], &[(now_ms(), 1.0)])),
        "misconfigured",
        "404",
    );
    check(&wrong.outcome_of("health"), "misconfigured", "404");
    prometheus.kill();
    check(&exporter.outcome_of("health"), "retry", "");
}
