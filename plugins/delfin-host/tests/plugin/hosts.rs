//! Two real hosts: one at the edge, which forwards, and one in the centre.

use std::collections::{BTreeMap, BTreeSet};

use delfin_plugin_api::{
    AlertBatchBuilder, Batch, NewAlert, PerformanceBatchBuilder,
    testkit::{Harness, build_library, check_outcome},
};
use delfin_tests::{AWKWARD_TEXTS, AWKWARD_VALUES, Host, Setup, receivers::free_port};
use serde_json::{Value, json};

use crate::{ALERTS, PERFORMANCE};

const FILES: [&str; 2] = ["PerformanceExporterFile", "AlertExporterFile"];

/// A host on a port that stays the same, and writes what it gets into files.
fn centre() -> (Setup, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let config = format!(
        r#"
plugin_dirs = ["@/plugins"]
state_dir = "@/state"
performance_exporters = ["PerformanceExporterFile"]
alert_exporters = ["AlertExporterFile"]
[api]
listen = "{address}"
[journal]
min_free_bytes = 0
[exporter.PerformanceExporterFile.config]
path = "@/points"
[exporter.AlertExporterFile.config]
path = "@/alerts"
"#
    );
    let setup = Setup::new(&["file"], "").with_whole_config(&config);
    (setup, format!("http://{address}"))
}

fn edge(centre: &str) -> Setup {
    let mut config = String::new();
    for (exporters, name) in [("performance", PERFORMANCE), ("alert", ALERTS)] {
        config.insert_str(0, &format!("{exporters}_exporters = [\"{name}\"]\n"));
        config += &format!(
            "[exporter.{name}.retry]\ninitial_interval = \"50ms\"\nmax_interval = \"200ms\"\n\
             [exporter.{name}.config]\nurl = \"{centre}\"\n"
        );
    }
    Setup::new(&[], &config).with_library(&build_library())
}

fn series(number: u64) -> Value {
    json!([{
        "name": format!("n{number}"),
        "labels": { "storage_id": format!("s{}", number % 3) },
        "values": { "1700000000000": number, "1700000060000": number },
    }])
}

fn alert(storage: &str, name: &str) -> Value {
    json!({
        "storage_id": storage,
        "alert_name": name,
        "category": "Fault",
        "severity": "Major",
        "occur_time": 1_700_000_000_000_i64,
    })
}

fn active(host: &Host) -> BTreeSet<String> {
    let (_, answer) = host.get("/v1/alerts/active");
    let alerts = answer["alerts"].as_array().cloned().unwrap_or_default();
    let name = |alert: &Value| alert["alert_name"].as_str().unwrap_or_default().to_owned();
    alerts.iter().map(name).collect()
}

fn accepted(host: &Host, exporter: &str) -> f64 {
    let metrics = host.metrics();
    metrics.of_exporter(exporter, "delfin_host_exporter_accepted_items_total")
}

#[test]
fn every_batch_arrives_once_although_both_hosts_are_killed() {
    let (centre_setup, url) = centre();
    let edge_setup = edge(&url);
    let mut centre = Some(centre_setup.start());
    let mut edge = edge_setup.start();
    let mut number = 0;
    for round in 0..6 {
        for _ in 0..10 {
            assert_eq!(edge.ingest("performance", &series(number)).0, 202);
            assert_eq!(
                edge.ingest("alerts", &json!([alert("s", &format!("a{number}"))]))
                    .0,
                202
            );
            number += 1;
        }
        match round {
            // In the middle of requests, or before the edge has the answer.
            0 | 3 => centre.take().unwrap().kill(),
            1 => centre = Some(centre_setup.start()),
            2 => {
                edge.kill();
                edge = edge_setup.start();
            }
            4 => {
                edge.kill();
                edge = edge_setup.start();
                centre = Some(centre_setup.start());
            }
            _ => {}
        }
    }
    let centre = centre.unwrap();
    for (exporter, items) in [(PERFORMANCE, 2 * number), (ALERTS, number)] {
        edge.wait_for_delivered(exporter, items);
        assert_eq!(edge.exporter(exporter)["dead_lettered"], 0);
    }
    assert_eq!(accepted(&centre, FILES[0]), 2.0 * number as f64);
    assert_eq!(accepted(&centre, FILES[1]), number as f64);
    let expected: BTreeSet<_> = (0..number).map(|number| format!("n{number}")).collect();
    centre.wait_for("all points in the file", || {
        let lines = centre_setup.json_lines("points").into_iter();
        let names = lines.map(|line| line["name"].as_str().unwrap_or_default().to_owned());
        (names.collect::<BTreeSet<_>>() == expected).then_some(())
    });
    let all = (0..number).map(|number| format!("a{number}"));
    assert_eq!(active(&centre), all.collect());
}

#[test]
fn a_complete_list_ends_alerts_at_the_centre_too() {
    let (centre_setup, url) = centre();
    let centre = centre_setup.start();
    let edge_setup = edge(&url);
    let edge = edge_setup.start();
    // Of an earlier life of the edge: only a complete list ends it.
    let old = json!([alert("s", "old"), alert("other", "kept")]);
    assert_eq!(centre.ingest("alerts", &old).0, 202);
    let list = |names: &[&str]| {
        let alerts: Vec<_> = names.iter().map(|name| alert("s", name)).collect();
        let body = json!({ "complete_for": "s", "alerts": alerts });
        assert_eq!(edge.ingest("alerts", &body).0, 202);
    };
    let wait = |names: &[&str]| {
        let names: BTreeSet<_> = names.iter().map(|&name| name.to_owned()).collect();
        centre.wait_for("active alerts", || (active(&centre) == names).then_some(()));
    };
    list(&["fan", "disk"]);
    wait(&["disk", "fan", "kept"]);
    list(&["disk"]);
    wait(&["disk", "kept"]);
    list(&[]);
    wait(&["kept"]);
}

#[test]
fn awkward_labels_and_values_arrive_unchanged() {
    let (setup, url) = centre();
    let centre = setup.start();
    let harness = Harness::of_crate();
    let texts = AWKWARD_TEXTS;
    let values = AWKWARD_VALUES;
    let mut points = PerformanceBatchBuilder::new();
    for text in texts {
        points
            .series(
                "iops",
                [("resource_id", text)],
                (1_700_000_000_000..).zip(values),
            )
            .unwrap();
    }
    let points = points.build();
    let mut exporter = harness.start(PERFORMANCE, &json!({ "url": url }));
    assert_eq!(exporter.send(&points), Ok(()));
    let lines = centre.wait_for("lines", || {
        let lines = setup.json_lines("points");
        (lines.len() == texts.len()).then_some(lines)
    });
    for (line, text) in lines.iter().zip(texts) {
        assert_eq!(line["labels"]["resource_id"], text);
        let written: BTreeMap<String, f64> =
            serde_json::from_value(line["values"].clone()).unwrap();
        // The file has no NaN and no infinity.
        let finite = values.iter().copied().filter(|value| value.is_finite());
        assert!(written.into_values().eq(finite));
    }
    assert_eq!(accepted(&centre, FILES[0]), points.items() as f64);

    let mut alerts = AlertBatchBuilder::new();
    for (number, text) in texts.iter().enumerate() {
        alerts.alert(NewAlert {
            occur_time: 1_700_000_000_000,
            texts: &[
                ("alert_id", &number.to_string()),
                ("description", text),
                ("rack", text),
            ],
        });
    }
    let mut exporter = harness.start(ALERTS, &json!({ "url": url }));
    assert_eq!(exporter.send(&alerts.build()), Ok(()));
    let lines = centre.wait_for("lines", || {
        let lines = setup.json_lines("alerts");
        (lines.len() == texts.len()).then_some(lines)
    });
    for (line, text) in lines.iter().zip(texts) {
        assert_eq!(
            (&line["description"], &line["rack"]),
            (&json!(text), &json!(text))
        );
    }
}

#[test]
fn a_row_that_the_centre_refuses_becomes_a_dead_letter_alone() {
    let (setup, url) = centre();
    let centre = setup.start();
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &json!({ "url": url }));
    let of = |ids: &[&str]| {
        let mut points = PerformanceBatchBuilder::new();
        for id in ids {
            points
                .series("iops", [("id", *id)], [(1_700_000_000_000, 1.0)])
                .unwrap();
        }
        points.build()
    };
    // Longer than `api.max_string_bytes`.
    let long = "x".repeat(70_000);
    check_outcome(&exporter.send(&of(&["a", &long])), "rejected", "400");
    assert_eq!(accepted(&centre, FILES[0]), 0.0);
    assert_eq!(exporter.send(&of(&["a"])), Ok(()));
}
