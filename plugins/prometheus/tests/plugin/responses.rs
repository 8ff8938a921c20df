//! The outcomes that Alertmanager's responses become.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, Failure, NewAlert, Outcome, RowFailureKind, sample,
    testkit::{TestReceiver, TestRequest, TestResponse, check_outcome},
};
use delfin_tests::receivers::free_port;
use serde_json::{Value, json};

use crate::support::Lab;

fn json_response(status: u16, body: &str) -> TestResponse {
    let response = TestResponse::new(status).body(body);
    response.header("content-type", "application/json")
}

fn send(urls: &[String], batch: &AlertBatch) -> Outcome {
    let lab = Lab::new();
    lab.alerts(&json!({ "urls": urls })).send(batch)
}

fn outcome_of(response: TestResponse) -> Outcome {
    let receiver = TestReceiver::start(move |_| response.clone());
    send(&[receiver.url("")], &sample::alerts(3))
}

fn alerts(names: &[&str]) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    for name in names {
        let texts = [("alert_name", *name)];
        batch.alert(NewAlert {
            occur_time: 0,
            texts: &texts,
        });
    }
    batch.build()
}

fn names(request: &TestRequest) -> Vec<String> {
    let posted: Value = serde_json::from_slice(&request.body).unwrap();
    let names = posted.as_array().unwrap().iter();
    names
        .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
        .collect()
}

/// Stores the valid alerts and responds with 400, like Alertmanager.
fn validating(stored: Arc<Mutex<Vec<String>>>) -> TestReceiver {
    TestReceiver::start(move |request| {
        let names = names(request);
        let bad = names.iter().any(|name| name == "bad");
        stored
            .lock()
            .unwrap()
            .extend(names.into_iter().filter(|name| name != "bad"));
        if bad {
            return json_response(400, "\"invalid label set\"\n");
        }
        TestResponse::new(200)
    })
}

#[test]
fn rejected_alerts_are_found_and_the_others_are_stored() {
    let stored = Arc::<Mutex<Vec<String>>>::default();
    let receiver = validating(Arc::clone(&stored));
    let mut all = vec!["good"; 600];
    for bad in [0, 300, 301, 599] {
        all[bad] = "bad";
    }
    let outcome = send(&[receiver.url("")], &alerts(&all));
    let Err(Failure::Partial { rows, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    let refused: Vec<_> = rows
        .iter()
        .map(|row| (row.rows.clone(), row.kind))
        .collect();
    let expected = [0..1, 300..302, 599..600].map(|rows| (rows, RowFailureKind::Rejected));
    assert_eq!(refused, expected);
    assert!(
        rows[0].reason.ends_with("answers 400: invalid label set"),
        "{}",
        rows[0].reason
    );
    assert!(stored.lock().unwrap().len() >= 596);
}

#[test]
fn at_most_256_alerts_are_in_one_request() {
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    let receiver = TestReceiver::start(move |request| {
        seen.fetch_max(names(request).len(), Ordering::SeqCst);
        assert_eq!(
            (&*request.method, &*request.path),
            ("POST", "/api/v2/alerts")
        );
        TestResponse::new(200)
    });
    assert_eq!(send(&[receiver.url("")], &sample::alerts(700)), Ok(()));
    assert_eq!(most.load(Ordering::SeqCst), 256);
}

#[test]
fn each_status_becomes_its_outcome() {
    use std::time::Duration;
    let check = |response, name: &str, part: &str| check_outcome(&outcome_of(response), name, part);
    let busy = TestResponse::new(503);
    check(
        TestResponse::new(500).body("broken"),
        "retry",
        "500: broken",
    );
    check(busy.clone(), "retry", "");
    check(TestResponse::new(429), "throttled", "");
    for status in [401, 403] {
        check(TestResponse::new(status), "unauthorized", "");
    }
    let elsewhere = TestResponse::new(301).header("location", "http://127.0.0.1:1/");
    // The response of a Go server that expects https: not about an alert.
    let https = TestResponse::new(400).body("Client sent an HTTP request to an HTTPS server.");
    for response in [TestResponse::new(404), elsewhere, https] {
        check(response, "misconfigured", "");
    }
    let failure = outcome_of(busy.header("retry-after", "7")).unwrap_err();
    let seconds = Some(Duration::from_secs(7));
    assert!(
        matches!(failure, Failure::Throttled { after, .. } if after == seconds),
        "{failure:?}"
    );
}

#[test]
fn only_the_response_of_alertmanager_delivers() {
    let html = |body: &str| {
        TestResponse::new(200)
            .header("content-type", "text/html")
            .body(body)
    };
    for response in [
        json_response(200, ""),
        TestResponse::new(202).body("\n"),
        json_response(200, r#"{"status":"success"}"#),
    ] {
        assert_eq!(outcome_of(response), Ok(()));
    }
    for response in [
        html("<!DOCTYPE html><title>Sign in</title>"),
        TestResponse::new(200).body("<html>Sign in</html>"),
        json_response(200, r#"{"status":"error","error":"no"}"#),
        json_response(200, r#"{"message":"Unauthorized"}"#),
        TestResponse::new(200).body("It works!"),
    ] {
        check_outcome(&outcome_of(response), "misconfigured", "asks for a sign-in");
    }
}

#[test]
fn a_response_that_is_cut_off_does_not_deliver() {
    let cut_off = json_response(200, r#"{"status":"#).cut_off();
    check_outcome(&outcome_of(cut_off), "retry", "cut off");
}

#[test]
fn an_unavailable_receiver_is_retried_and_the_others_get_the_alerts() {
    let stored = Arc::<Mutex<Vec<String>>>::default();
    let available = validating(Arc::clone(&stored));
    let unavailable = format!("http://127.0.0.1:{}", free_port());
    let outcome = send(
        &[unavailable.clone(), available.url("")],
        &alerts(&["one", "two"]),
    );
    let Err(Failure::Retry { message, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(message.contains(&unavailable), "{message}");
    assert_eq!(*stored.lock().unwrap(), ["one", "two"]);
}

#[test]
fn alerts_that_were_stored_before_a_failure_are_not_sent_again() {
    let count = AtomicUsize::new(0);
    let receiver = TestReceiver::start(move |request| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        if !first {
            return TestResponse::new(502).body("gone");
        }
        assert_eq!(names(request).len(), 256);
        TestResponse::new(200)
    });
    let outcome = send(&[receiver.url("")], &sample::alerts(300));
    let Err(Failure::Partial { rows, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (rows.len(), rows[0].rows.clone(), rows[0].kind),
        (1, 256..300, RowFailureKind::Retry)
    );
}

#[test]
fn credentials_are_sent_and_are_in_no_message() {
    let receiver = TestReceiver::start(|request| {
        let authorized = request.header("authorization") == "Basic dTpodW50ZXIy";
        TestResponse::new(if authorized { 403 } else { 200 })
    });
    let lab = Lab::new();
    let settings = json!({ "urls": [receiver.url("")], "username": "u", "password": "hunter2" });
    let outcome = lab.alerts(&settings).send(&sample::alerts(1));
    check_outcome(&outcome, "unauthorized", "");
    assert!(!format!("{outcome:?}").contains("hunter2"));
}

#[test]
fn credentials_of_any_scheme_and_other_headers_are_sent_and_also_to_check_the_health() {
    let receiver = TestReceiver::start(|request| {
        let is_known = request.header("authorization") == "ApiKey hunter2"
            && request.header("x-scope-orgid") == "7";
        TestResponse::new(if is_known { 200 } else { 401 })
    });
    let lab = Lab::new();
    let settings = json!({
        "urls": [receiver.url("")],
        "headers": { "Authorization": "ApiKey hunter2", "X-Scope-OrgID": "7" },
    });
    let mut exporter = lab.alerts(&settings);
    assert_eq!(exporter.send(&sample::alerts(3)), Ok(()));
    assert_eq!(exporter.outcome_of("health"), Ok(()));
    let refused = lab.create(
        "AlertExporterPrometheus",
        &json!({ "headers": { "Content-Type": "text/plain" } }),
    );
    let message = refused.err().unwrap_or_default();
    assert!(message.contains("is set by the exporter"), "{message}");
}
