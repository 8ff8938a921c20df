//! Receipts: rejected items, and the state of the batch at each exporter.

use std::thread;

use delfin_plugin_api::Kind;
use serde_json::{Value, json};

use super::host::{Answer, EXPORTER, Host, TWO_POINTS, last};
use crate::{
    config::{ApiConfig, JournalConfig},
    lifecycle::Phase,
};

const PARTLY: &str = r#"[{"name":"a","labels":{},"values":{"1700000000001":1}},
                         {"name":7,"labels":{},"values":{}},
                         {"name":"b","labels":{},"values":{"1700000000001":1,"1700000000002":2}},
                         {"name":"c","labels":{},"values":{"x":1}}]"#;

const TYPE: (&str, &str) = ("Content-Type", "application/json");

fn post(host: &Host, query: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let path = format!("/v1/ingest/performance{query}");
    let headers = [&[TYPE], headers].concat();
    host.send("POST", &path, &headers, body.as_bytes())
}

fn exporters(state: &str) -> Value {
    json!([{"name": EXPORTER, "state": state, "dead_lettered": 0}])
}

/// Posts two points, and runs `then` when they are durable.
fn post_and(host: &Host, query: &str, headers: &[(&str, &str)], then: impl FnOnce()) -> Answer {
    let mut head = host.journals.of(Kind::Performance).head();
    head.mark_unchanged();
    thread::scope(|scope| {
        let posted = scope.spawn(|| post(host, query, headers, TWO_POINTS));
        host.runtime.block_on(head.changed()).unwrap();
        then();
        posted.join().unwrap()
    })
}

#[test]
fn the_valid_items_are_kept_and_the_others_are_reported() {
    let host = Host::start();
    let answer = post(&host, "", &[], PARTLY);
    let batch_id = answer.batch_id();
    assert_eq!(
        answer.json(),
        json!({
            "batch_id": batch_id,
            "items": 3,
            "state": "durable",
            "rejected_items": 2,
            "rejected": [
                {"index": 1, "error": "name: `7` is not a text"},
                {"index": 3, "name": "c", "error": "values: timestamp `x` is not an integer of milliseconds"},
            ],
        })
    );
    assert_eq!(last(&host).items, 3);
    let lines = "{\"name\":\"a\",\"labels\":{},\"values\":{}}\n\n{\"name\":\n";
    let answer = post(&host, "", &[], lines);
    assert_eq!(
        answer.json()["rejected"],
        json!([{"index": 1, "line": 3, "error": "not JSON: EOF while parsing a value (line 4, column 0)"}])
    );
}

#[test]
fn only_the_first_hundred_rejected_items_are_reported() {
    let host = Host::start();
    let body = format!(r#"[{}["a",{{}},{{}}]]"#, "7,".repeat(150));
    let json = post(&host, "", &[], &body).json();
    assert_eq!(json["rejected_items"], 150);
    assert_eq!(json["rejected"].as_array().unwrap().len(), 100);
}

#[test]
fn strict_keeps_nothing_unless_every_item_is_valid() {
    let host = Host::start();
    post(&host, "?strict=true", &[], PARTLY).is_error(
        400,
        "InvalidInput",
        "Invalid input received. item 1: name: `7` is not a text",
    );
    assert_eq!(host.journals.performance.stats().unwrap().records, 0);
    assert_eq!(post(&host, "?strict=true", &[], TWO_POINTS).status, 202);
    assert_eq!(post(&host, "?strict=false", &[], PARTLY).status, 202);
}

#[test]
fn a_body_without_a_valid_item_is_refused() {
    let host = Host::start();
    let answer = post(&host, "", &[], "[1, 2]");
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.json()["error_code"], "InvalidInput");
    let answer = post(&host, "", &[], "name=iops\nname=load\n");
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.json()["error_code"], "MalformedRequestBody");
    assert_eq!(host.journals.performance.stats().unwrap().records, 0);
    let page = host.get("/metrics").body;
    for (reason, items) in [("invalid", 2), ("syntax", 2), ("text_too_long", 0)] {
        let series = format!(
            "delfin_host_ingest_rejected_items_total{{kind=\"performance\",reason=\"{reason}\"}} {items}\n"
        );
        assert!(page.contains(&series), "{series} in\n{page}");
    }
}

#[test]
fn a_waiting_client_is_answered_when_every_exporter_is_done() {
    let host = Host::start();
    let answer = post_and(&host, "?ack=delivered", &[], || {
        host.deliver(last(&host).seq, 2);
    });
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        answer.json(),
        json!({
            "batch_id": last(&host).batch_id,
            "items": 2,
            "state": "settled",
            "exporters": exporters("settled"),
        })
    );
    assert_eq!(answer.header("preference-applied"), None);
}

#[test]
fn a_client_whose_wait_is_over_is_told_what_is_pending() {
    let host = Host::start();
    let answer = post(&host, "", &[("Prefer", "wait=0")], TWO_POINTS);
    assert_eq!(answer.status, 202, "{}", answer.body);
    let json = answer.json();
    assert_eq!(
        (&json["state"], &json["exporters"]),
        (&json!("durable"), &exporters("pending"))
    );
    assert_eq!(answer.header("preference-applied"), Some("wait=0"));
    let page = host.get("/metrics").body;
    let series =
        "delfin_host_ingest_ack_duration_seconds_count{kind=\"performance\",ack=\"delivered\"} 1\n";
    assert!(page.contains(series), "{page}");
}

#[test]
fn a_stopping_host_ends_every_wait() {
    let host = Host::start();
    let answer = post_and(&host, "?ack=delivered", &[("Prefer", "wait=50")], || {
        host.phase.send_replace(Phase::Aborting);
    });
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.json()["exporters"], exporters("pending"));
}

#[test]
fn a_wait_goes_on_while_the_host_drains() {
    let host = Host::start();
    let answer = post_and(&host, "", &[("Prefer", "wait=50")], || {
        host.phase.send_replace(Phase::Draining);
        host.deliver(last(&host).seq, 2);
    });
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[test]
fn without_exporters_a_batch_is_done_at_once() {
    let host = Host::start();
    let alert = r#"[{"alert_id": "1"}]"#;
    let path = "/v1/ingest/alerts?ack=delivered";
    let answer = host.send("POST", path, &[TYPE], alert.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["exporters"], json!([]));
}

#[test]
fn a_repeated_request_may_wait_and_reports_the_rejected_items_of_its_own_body() {
    let host = Host::start();
    let key = ("Idempotency-Key", "k");
    let first = post(&host, "", &[key], PARTLY);
    host.deliver(last(&host).seq, 3);
    let repeat = post(&host, "?ack=delivered", &[key], PARTLY);
    assert_eq!(repeat.status, 200, "{}", repeat.body);
    assert_eq!(repeat.header("idempotency-replayed"), Some("true"));
    assert_eq!(repeat.json()["batch_id"], first.batch_id());
    assert_eq!(repeat.json()["rejected"], first.json()["rejected"]);
    let other = post(&host, "", &[key], TWO_POINTS);
    assert_eq!(
        (other.json()["items"].as_u64(), other.json().get("rejected")),
        (Some(3), None)
    );
}

#[test]
fn a_batch_that_was_deleted_counts_as_done() {
    let journal = JournalConfig {
        max_bytes: 10_000,
        ..JournalConfig::default()
    };
    let host = Host::with(ApiConfig::default(), journal);
    let key = ("Idempotency-Key", "k");
    let batch_id = post(&host, "", &[key], TWO_POINTS).batch_id();
    // Room is made by what is done with.
    while host.get(&format!("/v1/batches/{batch_id}")).status == 200 {
        host.deliver(last(&host).seq, 2);
        assert_eq!(post(&host, "", &[], TWO_POINTS).status, 202);
    }
    let repeat = post(&host, "?ack=delivered", &[key], TWO_POINTS);
    assert_eq!(repeat.status, 200, "{}", repeat.body);
    assert_eq!(
        repeat.json(),
        json!({"batch_id": batch_id, "items": 2, "state": "settled"})
    );
}

#[test]
fn an_ack_before_a_batch_is_durable_is_refused() {
    let host = Host::start();
    post(&host, "?ack=memory", &[], TWO_POINTS).is_error(
        400,
        "InvalidInput",
        "Invalid input received. `ack=memory` is not offered: nothing is acknowledged before it \
         is durable (use `durable` or `delivered`)",
    );
    assert_eq!(host.journals.performance.stats().unwrap().records, 0);
}
