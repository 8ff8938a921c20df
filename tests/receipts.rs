//! Receipts of accepted batches.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use delfin_tests::{Host, Setup};
use serde_json::{Value, json};
use ureq::http::{HeaderMap, Request};

const SCRIPTED: &str = r#"
performance_exporters = "PerformanceExporterScripted"
[exporter.PerformanceExporterScripted]
timeout = "500ms"
[exporter.PerformanceExporterScripted.retry]
initial_interval = "20ms"
max_interval = "100ms"
[exporter.PerformanceExporterScripted.config]
script = "@/script"
received = "@/received"
"#;

const GOOD: &str =
    r#"{"name": "iops", "labels": {}, "values": {"1700000000001": 1, "1700000000002": 2}}"#;
const WRONG: &str = r#"{"name": "iops", "labels": {}, "values": {"now": 1}}"#;
const BROKEN: &str = r#"{"name": "iops", "labels": {"#;

struct Answer {
    status: u16,
    headers: HeaderMap,
    json: Value,
}

fn scripted() -> Setup {
    Setup::new(&["scripted"], SCRIPTED)
}

fn post(host: &Host, query: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let uri = format!("{}/v1/ingest/performance{query}", host.url());
    let mut request = Request::post(uri).header("Content-Type", "application/x-ndjson");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let request = request.body(body.to_owned()).expect("a request");
    let agent = config.build().new_agent();
    let mut answer = agent.run(request).expect("an answer");
    Answer {
        status: answer.status().as_u16(),
        headers: answer.headers().clone(),
        json: answer.body_mut().read_json().expect("JSON"),
    }
}

fn exporters(state: &str) -> Value {
    json!([{"name": "PerformanceExporterScripted", "state": state, "dead_lettered": 0}])
}

/// Writes lines to a file, and returns the command that pushes them.
fn push(setup: &Setup, host: &Host, lines: &[&str], more: &[&str]) -> delfin_tests::CommandOutput {
    setup.write("lines.jsonl", &(lines.join("\n") + "\n"));
    let file = setup.path("lines.jsonl").display().to_string();
    let args = [&["push", "performance", &file, "--host", host.url()], more].concat();
    setup.run(&args)
}

#[test]
fn a_waiting_client_is_answered_once_the_exporter_has_the_batch() {
    let setup = scripted();
    let host = setup.start();
    let answer = post(&host, "?ack=delivered", &[], GOOD);
    assert_eq!(answer.status, 200, "{}", answer.json);
    let batch_id = answer.json["batch_id"].as_str().expect("a batch");
    assert_eq!(
        answer.json,
        json!({"batch_id": batch_id, "items": 2, "state": "settled", "exporters": exporters("settled")})
    );
    assert_eq!(setup.lines("received"), [format!("{batch_id} 2 1")]);
    let output = push(&setup, &host, &[GOOD], &["--ack", "delivered"]).expect_exit(0);
    assert!(
        output
            .stdout
            .ends_with(": 2 items, settled\n  PerformanceExporterScripted: settled\n")
    );
}

#[test]
fn a_client_that_waits_for_a_hung_exporter_is_answered_pending() {
    let setup = scripted();
    setup.write("script", "hang");
    let host = setup.start();
    let answer = post(&host, "", &[("Prefer", "wait=1")], GOOD);
    assert_eq!(answer.status, 202, "{}", answer.json);
    assert_eq!(answer.json["state"], "durable");
    assert_eq!(answer.json["exporters"], exporters("pending"));
    assert_eq!(answer.headers["preference-applied"], "wait=1");
    let output = push(&setup, &host, &[GOOD], &["--wait", "1ms"]).expect_exit(1);
    assert!(
        output.stderr.contains("do not push it again"),
        "{}",
        output.stderr
    );

    setup.write("script", "deliver");
    host.wait_for_delivered("PerformanceExporterScripted", 4);
    assert_eq!(setup.lines("received").len(), 2);
}

#[test]
fn a_stopping_host_answers_waiting_clients() {
    let setup = scripted();
    setup.write("script", "hang");
    let host = setup.start();
    let answer = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| post(&host, "", &[("Prefer", "wait=50")], GOOD));
        host.wait_for_exporter("PerformanceExporterScripted", "stuck", |exporter| {
            exporter["state"] == "stuck"
        });
        host.send_stop();
        waiting.join().expect("an answer")
    });
    assert_eq!(answer.status, 202, "{}", answer.json);
    assert_eq!(answer.json["exporters"], exporters("pending"));
}

#[test]
fn valid_items_arrive_and_invalid_ones_are_named() {
    let setup = scripted();
    let host = setup.start();
    let lines = [GOOD, WRONG, BROKEN, GOOD];
    let answer = post(&host, "?ack=delivered", &[], &lines.join("\n"));
    assert_eq!(answer.status, 200, "{}", answer.json);
    assert_eq!(answer.json["items"], 4);
    assert_eq!(answer.json["rejected_items"], 2);
    let wrong = "values: timestamp `now` is not an integer of milliseconds";
    assert_eq!(
        answer.json["rejected"][0],
        json!({"index": 1, "line": 2, "name": "iops", "error": wrong})
    );
    assert_eq!(answer.json["rejected"][1]["index"], 2);
    let received = setup.lines("received");
    assert!(received[0].ends_with(" 4 1"), "{received:?}");

    let output = push(&setup, &host, &lines, &[]).expect_exit(1);
    assert!(
        output.stdout.ends_with(": 4 items, durable\n"),
        "{}",
        output.stdout
    );
    assert!(
        output
            .stderr
            .contains(&format!("warning: item 1 (line 2, `iops`): {wrong}\n")),
        "{}",
        output.stderr
    );
    let output = push(&setup, &host, &lines, &["--json"]).expect_exit(1);
    assert_eq!(output.json()["rejected_items"], 2);
    host.wait_for_delivered("PerformanceExporterScripted", 12);
}

#[test]
fn strict_accepts_all_items_or_none() {
    let setup = scripted();
    let host = setup.start();
    let answer = post(&host, "?strict=true", &[], &[GOOD, WRONG].join("\n"));
    assert_eq!(answer.status, 400, "{}", answer.json);
    let message = answer.json["error_msg"].as_str().expect("a message");
    assert!(
        message.contains("item 1: values: timestamp `now`"),
        "{message}"
    );
    let output = push(&setup, &host, &[GOOD, BROKEN], &["--strict"]).expect_exit(1);
    assert_eq!(output.stdout, "");
    let output = push(&setup, &host, &[GOOD], &["--strict", "--ack", "delivered"]).expect_exit(0);
    assert!(output.stdout.contains("settled"), "{}", output.stdout);
    assert_eq!(setup.lines("received").len(), 1);
}

#[test]
fn an_idempotency_key_returns_its_first_receipt_after_a_restart() {
    let setup = scripted();
    let host = setup.start();
    let key = [("Idempotency-Key", "night-42")];
    let first = post(&host, "?ack=delivered", &key, &[GOOD, WRONG].join("\n"));
    assert_eq!(first.status, 200, "{}", first.json);
    assert!(!first.headers.contains_key("idempotency-replayed"));
    host.kill();

    let host = setup.start();
    let repeat = post(&host, "?ack=delivered", &key, &[GOOD, WRONG].join("\n"));
    assert_eq!(repeat.status, 200, "{}", repeat.json);
    assert_eq!(repeat.headers["idempotency-replayed"], "true");
    assert_eq!(repeat.json, first.json);
    let other = post(&host, "", &key, GOOD);
    assert_eq!(other.json["batch_id"], first.json["batch_id"]);
    assert_eq!(setup.lines("received").len(), 1);
}
