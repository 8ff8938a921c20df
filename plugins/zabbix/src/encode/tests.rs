use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, NewAlert, PerformanceBatch, PerformanceBatchBuilder,
    setting::Mistakes,
};
use serde_json::{Value, json};

use super::*;

fn encode<B: ValueBatch>(batch: &B) -> ValueRows {
    let mut rows = ValueRows::default();
    let items = ItemNames::read::<B>(None, None, &mut Mistakes::default());
    batch.encode(&items, &mut rows);
    rows
}

/// The values of a request with all rows.
fn values_of(rows: &ValueRows) -> Value {
    let all: Vec<_> = (0..rows.rows().len()).collect();
    let request: Value = serde_json::from_slice(&rows.request_text(&all)).unwrap();
    assert_eq!(request["request"], "sender data");
    request["data"].clone()
}

fn series(labels: &[(&str, &str)], points: &[(i64, f64)]) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    let added = batch.series("readIops", labels.iter().copied(), points.iter().copied());
    added.unwrap();
    batch.build()
}

fn alert(occur_time: i64, texts: &[(&str, &str)]) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    batch.alert(NewAlert { occur_time, texts });
    batch.build()
}

#[test]
fn a_point_is_a_value_with_its_time() {
    let labels = [
        ("storage_id", "s"),
        ("storage_name", " größe 1 "),
        ("resource_type", "volume"),
        ("resource_id", "a,b"),
    ];
    let points = [
        (1_700_000_000_123, 0.5),
        (0, -3.0),
        (1, f64::NAN),
        (-1, 1.0),
        (2_147_483_648_000, 1.0),
        (1, 1e300),
    ];
    let rows = encode(&series(&labels, &points));
    let of = |value: &str, clock: i64, ns: u32| {
        let key = "delfin.value[readIops,volume,\"a,b\"]";
        json!({ "host": "gr__e 1", "key": key, "value": value, "clock": clock, "ns": ns })
    };
    let expected = [
        of("0.5", 1_700_000_000, 123_000_000),
        of("-3", 0, 0),
        of("1e+300", 0, 1_000_000),
    ];
    assert_eq!(values_of(&rows), json!(expected));
    assert_eq!((rows.skipped.non_finite_points, rows.outside_times), (1, 2));
    assert_eq!(
        rows.item_of(&rows.rows()[0]),
        "gr__e 1:delfin.value[readIops,volume,\"a,b\"]"
    );
}

#[test]
fn requests_have_rows_of_one_host_and_refused_items_are_apart() {
    let mut batch = PerformanceBatchBuilder::new();
    for (host, id) in [("a", "1"), ("b", "1"), ("a", "2"), ("a", "3")] {
        let labels = [("storage_name", host), ("resource_id", id)];
        let points = (0..2000).map(|ms| (ms, 1.0));
        batch.series("iops", labels, points).unwrap();
    }
    batch.series("iops", [("storage_name", "a")], []).unwrap();
    let rows = encode(&batch.build());
    let requests = |refused: Option<usize>| -> Vec<Vec<usize>> {
        let refused = refused.map(|row| rows.rows()[row].item);
        let requests = rows.requests(|item| Some(item) == refused).into_iter();
        requests.map(|request| request.rows).collect()
    };
    assert_eq!(requests(None), [vec![0, 2], vec![1], vec![3]]);
    assert_eq!(requests(Some(0)), [vec![1], vec![2, 3], vec![0]]);
}

#[test]
fn an_alert_is_a_text_whose_first_line_has_state_severity_and_key() {
    let texts = [
        ("storage_id", "s"),
        ("alert_name", "fan\nout"),
        ("severity", "major"),
        ("category", "Fault"),
        ("description", "OK fake\0line\nOK second"),
        ("rack", "7"),
        ("empty", ""),
    ];
    let value = values_of(&encode(&alert(1_700_000_000_250, &texts)));
    let value = &value[0];
    let key = alert(0, &texts)
        .alerts()
        .next()
        .map(|alert| alert.key().uuid().simple().to_string());
    assert_eq!(
        value["value"],
        format!(
            "PROBLEM Major {} fan out\nOK fake line\nOK second\nstorage_id: s\nalert_name: fan\nout\n\
             category: Fault\nseverity: major\nrack: 7",
            key.unwrap()
        )
    );
    assert_eq!(
        (&value["host"], &value["key"]),
        (&json!("s"), &json!("delfin.alert"))
    );
    let ns = value["ns"].as_u64().unwrap();
    assert!((250_000_000..251_000_000).contains(&ns), "{ns}");

    let first_line = |texts: &[(&str, &str)]| {
        let value = values_of(&encode(&alert(0, texts)));
        assert_eq!(value[0].get("clock"), None);
        let text = value[0]["value"].as_str().unwrap().to_owned();
        let words: Vec<_> = text.lines().next().unwrap().split(' ').collect();
        format!("{} {} {}", words[0], words[1], words[3..].join(" "))
    };
    assert_eq!(first_line(&[]), "PROBLEM Unknown alert");
    assert_eq!(
        first_line(&[("category", "Recovery"), ("alert_id", "7")]),
        "OK Unknown 7"
    );
    assert_eq!(
        first_line(&[("category", "Event"), ("severity", "Fatal")]),
        "EVENT Fatal alert"
    );
}

#[test]
fn a_text_that_is_too_long_is_cut_off() {
    let long = "é".repeat(100_000);
    let value = values_of(&encode(&alert(0, &[("description", &long)])));
    let text = value[0]["value"].as_str().unwrap();
    assert!(text.ends_with("é…") && text.chars().count() == 60_001);
}
