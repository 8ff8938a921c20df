//! The requests that a receiver gets, and the outcomes that its answers become.

use std::io::Write;

use delfin_plugin_api::{
    Failure, Outcome, PerformanceBatch, PerformanceBatchBuilder, RowFailureKind, sample,
    testkit::{Harness, check_outcome},
};
use delfin_tests::receivers::free_port;
use serde_json::{Value, json};

use crate::{
    ALERTS, PERFORMANCE,
    receiver::{ValueReceiver, read_request, serve, write_answer},
};

/// Series with two points each, of the volumes with these ids.
fn volumes(ids: &[&str]) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    for id in ids {
        let labels = [
            ("storage_name", "array"),
            ("resource_type", "volume"),
            ("resource_id", *id),
            ("unit", "IOPS"),
        ];
        batch
            .series("iops", labels, [(1, 1.0), (1_001, 2.0)])
            .unwrap();
    }
    batch.build()
}

fn settings(address: &str) -> Value {
    json!({ "address": address, "tls": false, "discovery": false })
}

/// The rows that are not delivered, and why.
fn failed_rows(outcome: Outcome) -> Vec<(std::ops::Range<usize>, RowFailureKind, String)> {
    match outcome {
        Err(Failure::Partial { rows, .. }) => rows
            .into_iter()
            .map(|row| (row.rows, row.kind, row.reason))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_the_rows_of_refused_values_become_dead_letters_and_are_sent_apart_then() {
    let accepts = |value: &Value| !value["key"].as_str().unwrap().contains("bad");
    let receiver = ValueReceiver::start(accepts);
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &settings(&receiver.address()));
    let batch = volumes(&["1", "bad 2", "3", "4", "bad 5"]);
    for (requests, values) in [(9, 5 + 2 + 1 + 1 + 3 + 1 + 2 + 1 + 1), (2, 3 + 2)] {
        let failed = failed_rows(exporter.send(&batch));
        let rows: Vec<_> = failed
            .iter()
            .map(|(rows, kind, _)| (rows.clone(), *kind))
            .collect();
        assert_eq!(
            rows,
            [1..2, 4..5].map(|rows| (rows, RowFailureKind::Rejected))
        );
        let reason = &failed[0].2;
        assert!(
            reason.contains("refuses values for `array:delfin.value[iops,volume,bad 2]`"),
            "{reason}"
        );
        let seen = receiver.take_requests();
        let sent: usize = seen.iter().map(Vec::len).sum();
        assert_eq!((seen.len(), sent), (requests, 2 * values));
    }
}

#[test]
fn the_series_of_a_host_are_listed_before_their_values_and_when_there_are_more() {
    let receiver = ValueReceiver::start(|value| value["key"] == "delfin.discovery");
    let mut settings = settings(&receiver.address());
    settings["discovery"] = json!(true);
    settings["discovery_timeout"] = json!("1h");
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &settings);
    for ids in [&["1"][..], &["1"], &["1", "2"]] {
        // Until Zabbix has created the items, it refuses their values.
        let failed = failed_rows(exporter.send(&volumes(ids)));
        assert_eq!(failed.len(), ids.len());
        assert!(
            failed
                .iter()
                .all(|(_, kind, _)| *kind == RowFailureKind::Retry),
            "{failed:?}"
        );
        let last = &failed[ids.len() - 1].2;
        assert!(last.contains("has not created the item"), "{last}");
    }
    let requests = receiver.take_requests();
    let lists = requests
        .iter()
        .filter(|values| values[0]["key"] == "delfin.discovery");
    let mut lists: Vec<Value> = lists
        .map(|values| serde_json::from_str(values[0]["value"].as_str().unwrap()).unwrap())
        .collect();
    assert_eq!(lists.len(), 2);
    assert_eq!(requests[0][0]["host"], "array");
    let of = |id: &str| {
        json!({
            "{#NAME}": "iops",
            "{#RESOURCE_TYPE}": "volume",
            "{#RESOURCE_ID}": id,
            "{#RESOURCE_NAME}": id,
            "{#UNIT}": "IOPS",
            "{#STORAGE_NAME}": "array",
        })
    };
    assert_eq!(lists[0], json!([of("1")]));
    let list = lists[1].as_array_mut().unwrap();
    list.sort_by_key(|series| series["{#RESOURCE_ID}"].to_string());
    assert_eq!(*list, [of("1"), of("2")]);
}

#[test]
fn a_host_without_a_discovery_rule_awaits_nothing() {
    let receiver = ValueReceiver::start(|_| false);
    let mut settings = settings(&receiver.address());
    settings["discovery"] = json!(true);
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &settings);
    let failed = failed_rows(exporter.send(&volumes(&["1", "2"])));
    assert!(
        failed
            .iter()
            .all(|(_, kind, _)| *kind == RowFailureKind::Rejected),
        "{failed:?}"
    );
    // One list, and one request that says that all values are refused.
    assert_eq!(receiver.take_requests().len(), 2);
}

#[test]
fn each_answer_becomes_its_outcome() {
    let check = |answer: &'static [u8], name: &str, part: &str| {
        let port = serve(move |stream| {
            let request = read_request(stream)?;
            assert!(request.starts_with(b"{\"request\":\"sender data\",\"data\":["));
            write_answer(stream, answer)
        });
        let settings = json!({ "address": format!("127.0.0.1:{port}"), "tls": false });
        let mut exporter = Harness::of_crate().start(ALERTS, &settings);
        check_outcome(&exporter.send(&sample::alerts(3)), name, part);
    };
    let failed = br#"{"response":"failed","info":"cannot parse as a valid JSON object"}"#;
    check(failed, "retry", "cannot parse");
    check(b"OK", "misconfigured", "not a response of Zabbix");
    let other =
        br#"{"response":"success","info":"processed: 1; failed: 0; total: 1; seconds spent: 0.1"}"#;
    check(other, "uncertain", "3 were sent");
    let redirect = br#"{"response":"failed","redirect":{"address":"proxy-2:10051"}}"#;
    check(redirect, "misconfigured", "proxy-2:10051");
}

#[test]
fn a_receiver_that_is_no_zabbix_or_not_there_keeps_the_data() {
    let send = |port: u16, tls: bool| {
        let settings = json!({ "address": format!("127.0.0.1:{port}"), "tls": tls });
        Harness::of_crate()
            .start(ALERTS, &settings)
            .send(&sample::alerts(3))
    };
    check_outcome(&send(free_port(), false), "retry", "127.0.0.1");
    let closes = || serve(|stream| read_request(stream).map(drop));
    check_outcome(&send(closes(), false), "uncertain", "without a response");
    let http = || serve(|stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\nx: y\r\n\r\n"));
    check_outcome(
        &send(http(), false),
        "misconfigured",
        "not a response of Zabbix",
    );
    check_outcome(&send(http(), true), "misconfigured", "does not speak TLS");
}

#[test]
fn health_sends_no_value() {
    let receiver = ValueReceiver::start(|_| false);
    let mut exporter = Harness::of_crate().start(
        ALERTS,
        &json!({ "address": receiver.address(), "tls": false }),
    );
    assert_eq!(exporter.outcome_of("health"), Ok(()));
    assert_eq!(receiver.take_requests(), [Vec::<Value>::new()]);
}
