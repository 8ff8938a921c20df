use delfin_plugin_api::{AlertBatchBuilder, NewAlert, PerformanceBatchBuilder, sample};
use serde_json::{Value, json};

use super::*;

fn metadata() -> EventMetadata {
    EventMetadata {
        index: Some("storage".to_owned()),
        sourcetype: None,
        source: "s".to_owned(),
    }
}

fn events(batch: &impl EventBatch) -> (Vec<Value>, EventRequests, Skipped) {
    let mut requests = EventRequests::default();
    let skipped = batch.encode(&metadata(), &mut requests);
    let lines = std::str::from_utf8(requests.text()).unwrap().lines();
    let events = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (events, requests, skipped)
}

#[test]
fn a_point_is_an_event_with_a_metric_and_dimensions() {
    let mut batch = PerformanceBatchBuilder::new();
    let labels = [
        ("storage_name", "a \"1\""),
        ("_raw", "x"),
        ("a b", "y"),
        ("a_b", "z"),
        ("empty", ""),
        ("metric_name", "n"),
    ];
    let points = [
        (1_700_000_000_007, 0.1 + 0.2),
        (2, f64::NAN),
        (3, f64::INFINITY),
    ];
    batch.series("iops", labels, points).unwrap();
    batch.series("iops", [("", "")], [(-1, -0.0)]).unwrap();
    let (written, _, skipped) = events(&batch.build());
    let expected = json!({
        "time": 1_700_000_000.007,
        "source": "s",
        "index": "storage",
        "event": "metric",
        "fields": {
            "metric_name:iops": 0.1 + 0.2,
            "storage_name": "a \"1\"",
            "label__raw": "x",
            "a_b": "y",
            "a_b_": "z",
            "label_metric_name": "n",
        },
        "host": "a \"1\"",
    });
    assert_eq!(written[0], expected);
    assert_eq!(written[1]["fields"], json!({ "metric_name:iops": -0.0 }));
    assert_eq!(written[1]["time"], -0.001);
    assert_eq!((written.len(), skipped.non_finite_points), (2, 2));
}

#[test]
fn an_alert_is_an_event_with_its_key() {
    let mut batch = AlertBatchBuilder::new();
    batch.alert(NewAlert {
        occur_time: 5,
        texts: &[
            ("storage_id", "s"),
            ("alert_name", "fan"),
            ("description", "say \"no\"\n🦀"),
            ("rack", ""),
        ],
    });
    let batch = batch.build();
    let key = batch
        .alerts()
        .next()
        .unwrap()
        .key()
        .uuid()
        .simple()
        .to_string();
    let (written, _, _) = events(&batch);
    let expected = json!({
        "time": 0.005,
        "source": "s",
        "index": "storage",
        "host": "s",
        "event": {
            "storage_id": "s",
            "alert_name": "fan",
            "description": "say \"no\"\n🦀",
            "occur_time": 5,
            "rack": "",
        },
        "fields": { "alert_key": key },
    });
    assert_eq!(written, [expected]);
}

#[test]
fn an_alert_without_a_time_gets_that_of_splunk() {
    let mut batch = AlertBatchBuilder::new();
    batch.alert(NewAlert {
        occur_time: 0,
        texts: &[("storage_id", "s")],
    });
    let (written, _, _) = events(&batch.build());
    assert_eq!(written[0].get("time"), None);
}

#[test]
fn requests_have_whole_rows_and_a_limited_length() {
    let batch = sample::performance(2_000, 5);
    let (_, requests, _) = events(&batch);
    assert!(requests.iter().len() > 2);
    let mut next = 0;
    for (request, rows) in requests.iter().zip(requests.rows()) {
        assert!(request.text.len() <= MAX_REQUEST);
        assert_eq!(rows.start, next);
        next = rows.end;
        assert_eq!(
            request.text.iter().filter(|&&byte| byte == b'\n').count(),
            5 * rows.len()
        );
        assert_eq!(request.row_of_event(0), Some(0));
        assert_eq!(request.row_of_event(9), Some(1));
        assert_eq!(request.row_of_event(5 * rows.len()), None);
    }
    assert_eq!(next, 2_000);
}
