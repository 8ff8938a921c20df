//! The requests that a node gets, and the outcomes that its responses become.

use std::sync::atomic::{AtomicBool, Ordering};

use delfin_plugin_api::{
    Failure, Outcome, RowFailure, RowFailureKind, sample,
    testkit::{Harness, TestReceiver, TestResponse, check_outcome},
};
use serde_json::{Value, json};

use crate::{ALERTS, PERFORMANCE, stores};

/// The outcome of three rows with two points each, if this is the response to the documents.
fn outcome_of(response: TestResponse) -> Outcome {
    let receiver = TestReceiver::start(move |request| match request.method.as_str() {
        "POST" => response.clone(),
        _ => stores(request),
    });
    let settings = json!({ "url": receiver.url("") });
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &settings);
    exporter.send(&sample::performance(3, 2))
}

fn answer(statuses: [u16; 6]) -> TestResponse {
    let item = |status| match status {
        200..=299 => json!({ "create": { "status": status } }),
        _ => json!({ "create": { "status": status, "error": { "type": "t", "reason": "why" } } }),
    };
    let items: Vec<Value> = statuses.into_iter().map(item).collect();
    let errors = statuses.iter().any(|status| *status > 299);
    TestResponse::new(200).body(json!({ "errors": errors, "items": items }).to_string())
}

#[test]
fn the_template_comes_before_the_documents_and_once() {
    let receiver = TestReceiver::start(stores);
    let harness = Harness::of_crate();
    let settings = json!({ "url": receiver.url("/es/"), "api_key": "k" });
    let mut points = harness.start(PERFORMANCE, &settings);
    for _ in 0..2 {
        assert_eq!(points.send(&sample::performance(3, 2)), Ok(()));
    }
    let settings = json!({
        "url": receiver.url(""),
        "template": false,
        "data_stream": "alerts",
        "username": "u",
        "password": "p",
        "compression": "none",
    });
    let mut alerts = harness.start(ALERTS, &settings);
    assert_eq!(alerts.send(&sample::alerts(3)), Ok(()));
    let seen = receiver.requests();
    let path = |request: &delfin_plugin_api::testkit::TestRequest| {
        let path = request.path.split('?').next().unwrap_or_default();
        format!("{} {path}", request.method)
    };
    assert_eq!(
        seen.iter().map(path).collect::<Vec<_>>(),
        [
            "PUT /es/_index_template/metrics-delfin-default",
            "POST /es/metrics-delfin-default/_bulk",
            "POST /es/metrics-delfin-default/_bulk",
            "POST /alerts/_bulk",
        ]
    );
    let template: Value = serde_json::from_slice(&seen[0].body).unwrap();
    assert_eq!(template["data_stream"], json!({}));
    assert_eq!(seen[0].header("authorization"), "ApiKey k");
    assert_eq!(seen[1].header("content-encoding"), "gzip");
    assert_eq!(seen[1].header("content-type"), "application/x-ndjson");
    assert_eq!(seen[3].header("authorization"), "Basic dTpw");
    assert_eq!(
        seen[3].body.iter().filter(|&&byte| byte == b'\n').count(),
        6
    );
}

#[test]
fn each_row_has_the_answer_of_its_documents() {
    assert_eq!(outcome_of(answer([201; 6])), Ok(()));
    // They are stored already.
    assert_eq!(outcome_of(answer([409; 6])), Ok(()));
    let Err(Failure::Partial { rows, .. }) = outcome_of(answer([201, 400, 201, 201, 429, 400]))
    else {
        panic!("not partial")
    };
    let of = |row: usize, kind, status: &str| RowFailure {
        rows: row..row + 1,
        kind,
        reason: format!("{status} t: why"),
    };
    assert_eq!(
        rows,
        [
            of(0, RowFailureKind::Rejected, "400"),
            of(2, RowFailureKind::Retry, "429")
        ]
    );
    check_outcome(&outcome_of(answer([429; 6])), "throttled", "429 t: why");
    check_outcome(&outcome_of(answer([503; 6])), "retry", "503");
    check_outcome(&outcome_of(answer([403; 6])), "unauthorized", "403");
    check_outcome(&outcome_of(answer([404; 6])), "misconfigured", "404");
    let Err(Failure::Partial { rows, .. }) = outcome_of(answer([400; 6])) else {
        panic!("not partial")
    };
    assert_eq!(
        (rows[0].rows.clone(), rows[0].kind),
        (0..3, RowFailureKind::Rejected)
    );
}

#[test]
fn each_status_of_the_request_becomes_its_outcome() {
    let check = |response, name: &str, part: &str| check_outcome(&outcome_of(response), name, part);
    check(TestResponse::new(401), "unauthorized", "");
    check(TestResponse::new(403), "unauthorized", "");
    check(TestResponse::new(404), "misconfigured", "");
    check(TestResponse::new(413), "too large", "");
    check(TestResponse::new(429), "throttled", "");
    check(TestResponse::new(503), "retry", "");
    check(TestResponse::closed(), "retry", "");
    check(answer([201; 6]).cut_off(), "retry", "cut off");
    for body in ["", "<html>", "{}", r#"{"errors":true,"items":[]}"#] {
        let response = TestResponse::new(200).body(body);
        check(response, "misconfigured", "not a response of Elasticsearch");
    }
}

#[test]
fn a_template_that_exists_is_kept_and_a_refused_one_sends_no_documents() {
    let with_template = |response: TestResponse| {
        let is_first = AtomicBool::new(true);
        let receiver = TestReceiver::start(move |request| match request.method.as_str() {
            "PUT" if is_first.swap(false, Ordering::Relaxed) => response.clone(),
            _ => stores(request),
        });
        let settings = json!({ "url": receiver.url("") });
        let mut exporter = Harness::of_crate().start(PERFORMANCE, &settings);
        let outcome = exporter.send(&sample::performance(3, 2));
        let again = exporter.send(&sample::performance(3, 2));
        assert_eq!(again, Ok(()));
        (outcome, receiver.requests().len())
    };
    let exists = TestResponse::new(400).body(r#"{"error":"index template [x] already exists"}"#);
    assert_eq!(with_template(exists), (Ok(()), 3));
    for (status, name) in [
        (400, "misconfigured"),
        (403, "misconfigured"),
        (401, "unauthorized"),
        (503, "retry"),
        (200, "misconfigured"),
    ] {
        let (outcome, requests) = with_template(TestResponse::new(status));
        check_outcome(&outcome, name, "");
        assert_eq!(requests, 3, "{status}");
    }
}

#[test]
fn health_asks_for_the_node() {
    let health = |response: TestResponse| {
        let receiver = TestReceiver::start(move |_| response.clone());
        let settings = json!({ "url": receiver.url("") });
        let mut exporter = Harness::of_crate().start(ALERTS, &settings);
        exporter.outcome_of("health")
    };
    let json = TestResponse::new(200).header("content-type", "application/json");
    let node = r#"{"cluster_name":"c","version":{"number":"9.0.0"}}"#;
    assert_eq!(health(json.clone().body(node)), Ok(()));
    let for_documents_only = r#"{"error":{"type":"security_exception"},"status":403}"#;
    let forbidden = TestResponse::new(403);
    assert_eq!(health(forbidden.clone().body(for_documents_only)), Ok(()));
    for response in [forbidden.body("<html>"), TestResponse::new(401)] {
        check_outcome(&health(response), "unauthorized", "");
    }
    for response in [json.body("{}"), TestResponse::new(200)] {
        check_outcome(&health(response), "misconfigured", "not a response of");
    }
}
