use delfin_plugin_api::{AlertBatchBuilder, NewAlert, PerformanceBatchBuilder};
use serde_json::{Value, json};

use super::*;

fn lines(batch: &impl BulkBatch) -> (Vec<Value>, BulkBody, Skipped) {
    let mut body = BulkBody::default();
    let skipped = batch.encode(&mut body);
    let text = std::str::from_utf8(body.text()).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (lines.collect(), body, skipped)
}

#[test]
fn a_point_is_a_document_and_its_id_is_that_of_the_series_and_its_time() {
    let series = |labels: [(&str, &str); 2]| {
        let mut batch = PerformanceBatchBuilder::new();
        let points = [(1, 0.1 + 0.2), (2, f64::NAN), (3, -0.0), (4, f64::INFINITY)];
        batch.series("iops", labels, points).unwrap();
        batch.series("none", labels, []).unwrap();
        batch.build()
    };
    let (written, body, skipped) = lines(&series([("a", "\"x\"\n"), ("b", "")]));
    let id = written[0]["create"]["_id"].as_str().unwrap();
    // A change would store points again that are stored already.
    assert_eq!(id, "77dcf78bb92453b2a1db27fc3cd5dc72-1");
    let document = json!({ "@timestamp": 1, "value": 0.1 + 0.2, "metric": "iops", "labels": { "a": "\"x\"\n", "b": "" } });
    assert_eq!(written[1], document);
    assert_eq!(written[3]["value"], -0.0);
    assert_eq!((written.len(), body.documents()), (4, 2));
    assert_eq!(body.documents_of_rows().collect::<Vec<_>>(), [0..2, 2..2]);
    assert_eq!(skipped.non_finite_points, 2);
    let (swapped, _, _) = lines(&series([("b", ""), ("a", "\"x\"\n")]));
    assert_eq!(swapped[0], written[0]);
    let (other, _, _) = lines(&series([("a", "\"x\""), ("b", "\n")]));
    assert_ne!(other[0], written[0]);
}

#[test]
fn names_that_would_be_refused_are_changed_and_stay_different() {
    let mut batch = PerformanceBatchBuilder::new();
    let labels = [
        ("a.b", "1"),
        ("a_b", "2"),
        ("", "3"),
        (" ", "4"),
        ("grüße", "5"),
    ];
    batch.series("iops", labels, [(1, 1.0)]).unwrap();
    let (written, _, _) = lines(&batch.build());
    let expected = json!({ "a_b": "1", "a_b_": "2", "_": "3", "__": "4", "grüße": "5" });
    assert_eq!(written[1]["labels"], expected);
}

#[test]
fn an_alert_that_is_sent_again_is_the_same_document() {
    let alert = |severity: &str| {
        let mut batch = AlertBatchBuilder::new();
        batch.alert(NewAlert {
            occur_time: 7,
            texts: &[
                ("storage_id", "s"),
                ("alert_name", "fan"),
                ("severity", severity),
                ("description", "say \"no\""),
                ("rack.no", "9"),
            ],
        });
        lines(&batch.build()).0
    };
    let written = alert("Major");
    let key = written[1]["alert_key"].as_str().unwrap().to_owned();
    let expected = json!({
        "@timestamp": 7,
        "alert_key": key,
        "storage_id": "s",
        "alert_name": "fan",
        "severity": "Major",
        "message": "say \"no\"",
        "extra": { "rack_no": "9" },
    });
    assert_eq!(written[1], expected);
    assert_eq!(alert("Major"), written);
    let changed = alert("Minor");
    assert_eq!(changed[1]["alert_key"], *key);
    assert_ne!(changed[0], written[0]);
}

#[test]
fn the_mappings_are_json() {
    for target in [PERFORMANCE, ALERTS] {
        let mappings: Value = serde_json::from_str(target.mappings).unwrap();
        assert_eq!(mappings["properties"]["@timestamp"]["type"], "date");
    }
}
