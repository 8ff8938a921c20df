use delfin_plugin_abi::OutcomeCode;
use delfin_plugin_api::Kind;
use serde_json::{Value, json};

use super::host::{EXPORTER, Host, TWO_POINTS};
use crate::{
    batch::Seq,
    journal::{Commit, DeadLetter, Position},
};

/// A host with one dead letter for each reason.
fn host_with(reasons: &[&str]) -> Host {
    let host = Host::start();
    for reason in reasons {
        assert_eq!(host.post("/v1/ingest/performance", TWO_POINTS).status, 202);
        dead_letter(&host, reason);
    }
    host
}

fn dead_letter(host: &Host, reason: &str) {
    let journal = host.journals.of(Kind::Performance);
    let next = journal.cursors().unwrap()[0].next.seq;
    let record = journal.read(next).unwrap().unwrap();
    let letter = DeadLetter {
        plugin_version: "1.2.3".to_owned(),
        header: record.header,
        seq: record.seq,
        first_row: 0,
        rows: record.rows,
        code: OutcomeCode::REJECT.0,
        reason: reason.to_owned(),
        attempts: 2,
        first_ms: 1_700_000_000_000,
        last_ms: 1_700_000_001_000,
        payload: record.payload.into_bytes().unwrap(),
    };
    let commit = Commit {
        through: Position::after(record.seq),
        dead_letters: vec![letter],
        ..Commit::default()
    };
    host.runtime
        .block_on(journal.commit(EXPORTER, commit))
        .unwrap();
}

fn ids(host: &Host, query: &str) -> Vec<String> {
    let json = host.get(&format!("/v1/dead-letters{query}")).json();
    let shown = json["dead_letters"].as_array().unwrap().iter();
    shown
        .map(|dead_letter| dead_letter["id"].as_str().unwrap().to_owned())
        .collect()
}

fn post(host: &Host, action: &str, body: &Value) -> Value {
    let answer = host.post(&format!("/v1/dead-letters/{action}"), &body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

#[test]
fn a_dead_letter_is_shown_with_its_outcome() {
    let host = host_with(&["no such metric"]);
    let mut json = host.get("/v1/dead-letters").json();
    let shown = &mut json["dead_letters"][0];
    for particular in ["batch_id", "accepted_at", "bytes"] {
        assert!(!shown[particular].take().is_null(), "{particular}");
    }
    assert_eq!(
        *shown,
        json!({
            "id": "performance-1",
            "exporter": EXPORTER,
            "plugin_version": "1.2.3",
            "batch_id": null,
            "first_row": 0,
            "rows": 1,
            "items": 2,
            "origin": "ingest",
            "storage_id": "s1",
            "accepted_at": null,
            "outcome": "rejected",
            "reason": "no such metric",
            "attempts": 2,
            "first_tried_at": "2023-11-14T22:13:20.000Z",
            "last_tried_at": "2023-11-14T22:13:21.000Z",
            "bytes": null,
            "replayed_at": null
        })
    );
}

#[test]
fn the_content_of_a_dead_letter_can_be_ingested_again() {
    let host = host_with(&["no such metric"]);
    let shown = host.get("/v1/dead-letters/performance-1").json();
    let sent: Value = serde_json::from_str(TWO_POINTS).unwrap();
    assert_eq!(shown["content"], sent);
    assert_eq!(shown["content_error"], Value::Null);
    let again = shown["content"].to_string();
    assert_eq!(host.post("/v1/ingest/performance", &again).status, 202);
}

#[test]
fn dead_letters_are_found_by_exporter_time_and_reason() {
    let host = host_with(&["no such metric", "too old", "no such host"]);
    assert_eq!(
        ids(&host, ""),
        ["performance-1", "performance-2", "performance-3"]
    );
    assert_eq!(
        ids(&host, "?reason=no%20such"),
        ["performance-1", "performance-3"]
    );
    assert_eq!(
        ids(&host, "?exporter=prometheus&limit=1"),
        ["performance-1"]
    );
    let total = |query: &str| host.get(&format!("/v1/dead-letters{query}")).json()["total"].clone();
    assert_eq!(total("?exporter=prometheus&limit=1"), 3);
    assert_eq!(total("?reason=no%20such&limit=1"), 2);
    assert!(ids(&host, "?since=1h").is_empty());
    assert!(ids(&host, "?exporter=other").is_empty());
    for (query, message) in [
        (
            "since=soon",
            "`since` must be how long ago, as in `2h`, or a time in RFC 3339",
        ),
        ("limit=-1", "`limit` must be a whole number, 0 or more"),
        ("reason=a&reason=b", "parameter `reason` is repeated"),
        (
            "exporters=a",
            "the query has an unknown parameter (known: `exporter`, `since`, `reason`, `limit`)",
        ),
    ] {
        host.get(&format!("/v1/dead-letters?{query}")).is_error(
            400,
            "InvalidInput",
            &format!("Invalid input received. {message}"),
        );
    }
}

#[test]
fn a_replayed_dead_letter_is_pending_and_is_neither_purged_nor_replayed_twice() {
    let host = host_with(&["a", "b", "c"]);
    let two = json!({"ids": ["performance-1", "performance-3", "alert-1"]});
    assert_eq!(post(&host, "replay", &two)["letters"], 2);
    assert_eq!(post(&host, "replay", &two)["letters"], 0);
    let exporter = &host.get("/v1/exporters").json()["exporters"][0];
    assert_eq!(exporter["pending"], 4);
    let shown = host.get("/v1/dead-letters/performance-1").json();
    humantime::parse_rfc3339(shown["replayed_at"].as_str().unwrap()).unwrap();
    let purged = post(&host, "purge", &json!({"all": true}));
    assert_eq!(
        (&purged["letters"], &purged["items"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(ids(&host, ""), ["performance-1", "performance-3"]);
}

#[test]
fn a_dry_run_counts_and_changes_nothing() {
    let host = host_with(&["a", "b", "a"]);
    let body = |dry_run| json!({"reason": "A", "limit": 1, "dry_run": dry_run});
    let mut would = post(&host, "purge", &body(true));
    assert_eq!(ids(&host, "").len(), 3);
    let done = post(&host, "purge", &body(false));
    assert_eq!(
        (would["dry_run"].take(), would["letters"].clone()),
        (json!(true), json!(1))
    );
    assert_eq!(
        (&would["items"], &would["bytes"]),
        (&done["items"], &done["bytes"])
    );
    assert_eq!(ids(&host, ""), ["performance-2", "performance-3"]);
}

#[test]
fn a_body_that_selects_nothing_is_refused() {
    let host = host_with(&["a"]);
    for body in ["{}", r#"{"limit": 1}"#] {
        for action in ["purge", "replay"] {
            host.post(&format!("/v1/dead-letters/{action}"), body)
                .is_error(
                    400,
                    "InvalidInput",
                    "Invalid input received. the body selects no dead letters \
                     (give `exporter`, `since`, `reason` or `ids`, or set `all`)",
                );
        }
    }
    assert_eq!(ids(&host, "").len(), 1);
}

#[test]
fn an_unknown_dead_letter_is_404() {
    let host = Host::start();
    for id in ["performance-1", "alert-x", "12"] {
        host.get(&format!("/v1/dead-letters/{id}")).is_error(
            404,
            "DeadLetterNotFound",
            &format!("Dead letter {id} could not be found."),
        );
    }
}

#[test]
fn a_dead_letter_whose_content_cannot_be_read_is_shown() {
    let host = host_with(&["a"]);
    let journal = host.journals.of(Kind::Performance);
    assert_eq!(host.post("/v1/ingest/performance", TWO_POINTS).status, 202);
    let record = journal.read(Seq(2)).unwrap().unwrap();
    let stored = journal
        .dead_letter(crate::journal::DeadLetterId(1))
        .unwrap()
        .unwrap();
    let commit = Commit {
        through: Position::after(record.seq),
        dead_letters: vec![DeadLetter {
            header: record.header,
            payload: vec![9],
            ..stored.dead_letter
        }],
        ..Commit::default()
    };
    let committed = host.runtime.block_on(journal.commit(EXPORTER, commit));
    committed.unwrap();
    let shown = host.get("/v1/dead-letters/performance-2").json();
    assert_eq!(shown["content"], json!([]));
    assert!(shown["content_error"].is_string());
}
