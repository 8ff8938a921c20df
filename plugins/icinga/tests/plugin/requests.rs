//! The requests that Icinga gets, and the outcomes that its responses become.

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, Failure, NewAlert, Outcome, RowFailureKind,
    testkit::{Harness, TestReceiver, TestRequest, TestResponse, check_outcome},
};
use serde_json::{Value, json};

use crate::{ALERTS, processes};

const NO_OBJECTS: &str = r#"{"error":404,"status":"No objects found."}"#;

/// Alerts of a storage with these names, and categories.
fn alerts(names: &[(&str, &str)]) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    for (name, category) in names {
        batch.alert(NewAlert {
            occur_time: 1,
            texts: &[
                ("storage_name", "array"),
                ("alert_name", *name),
                ("category", *category),
            ],
        });
    }
    batch.build()
}

fn send(receiver: &TestReceiver, create: bool, names: &[(&str, &str)]) -> Outcome {
    let settings = json!({ "url": receiver.url(""), "create": create, "workers": 1 });
    Harness::of_crate()
        .start(ALERTS, &settings)
        .send(&alerts(names))
}

fn service_of(request: &TestRequest) -> Value {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    body["service"].clone()
}

#[test]
fn only_the_row_of_a_service_that_does_not_exist_becomes_a_dead_letter() {
    let receiver = TestReceiver::start(|request| match service_of(request) == "array!b" {
        true => TestResponse::new(404).body(NO_OBJECTS),
        false => processes(request),
    });
    let names = [("a", "Fault"), ("b", "Fault"), ("c", "Fault")];
    let Err(Failure::Partial { rows, .. }) = send(&receiver, false, &names) else {
        panic!("not partial")
    };
    let refused: Vec<_> = rows
        .iter()
        .map(|row| (row.rows.clone(), row.kind))
        .collect();
    assert_eq!(refused, [(1..2, RowFailureKind::Rejected)]);
    let reason = &rows[0].reason;
    assert!(
        reason.contains("has no service `b` of the host `array` (create it"),
        "{reason}"
    );
}

#[test]
fn a_missing_service_is_created_with_its_host_but_not_for_the_end_of_an_alert() {
    let receiver = TestReceiver::start(move |request| match request.method.as_str() {
        "PUT" => processes(request),
        _ => TestResponse::new(404).body(NO_OBJECTS),
    });
    assert_eq!(send(&receiver, true, &[("a", "Recovery")]), Ok(()));
    assert_eq!(receiver.requests().len(), 1);
    let outcome = send(&receiver, true, &[("fan 1/2", "Fault")]);
    check_outcome(&outcome, "retry", "does not find the service `fan 1/2`");
    let seen = receiver.requests();
    let seen: Vec<_> = seen[1..]
        .iter()
        .map(|request| format!("{} {}", request.method, request.path))
        .collect();
    assert_eq!(
        seen,
        [
            "POST /v1/actions/process-check-result",
            "PUT /v1/objects/hosts/array",
            "PUT /v1/objects/services/array%21fan%201%2F2",
            "POST /v1/actions/process-check-result",
        ]
    );
}

#[test]
fn each_response_becomes_its_outcome() {
    let check = |response: TestResponse, name: &str, part: &str| {
        let receiver = TestReceiver::start(move |_| response.clone());
        check_outcome(&send(&receiver, false, &[("a", "Fault")]), name, part);
    };
    check(TestResponse::new(401), "unauthorized", "");
    check(TestResponse::new(403), "unauthorized", "");
    check(TestResponse::new(503), "retry", "");
    check(TestResponse::closed(), "retry", "");
    check(TestResponse::new(404).body("not here"), "misconfigured", "");
    let busy = r#"{"results":[{"code":503,"status":"Icinga is reloading."}]}"#;
    check(TestResponse::new(200).body(busy), "retry", "reloading");
    for body in ["", "<html>", "{}"] {
        let response = TestResponse::new(200).body(body);
        check(response, "misconfigured", "not a response of Icinga");
    }
}

#[test]
fn health_asks_for_the_user_and_the_version() {
    let health = |body: &'static str| {
        let receiver = TestReceiver::start(move |_| TestResponse::new(200).body(body));
        let settings = json!({ "url": receiver.url("") });
        let mut exporter = Harness::of_crate().start(ALERTS, &settings);
        exporter.outcome_of("health")
    };
    let icinga = r#"{"results":[{"user":"delfin","version":"r2.14.5-1","permissions":[]}]}"#;
    assert_eq!(health(icinga), Ok(()));
    for body in ["", "<html>", "{}", r#"{"results":[]}"#] {
        let outcome = health(body);
        check_outcome(&outcome, "misconfigured", "not a response of Icinga");
    }
}

#[test]
fn an_object_that_cannot_be_created_keeps_the_data() {
    let check = |status: u16, body: &'static str, name: &str, part: &str| {
        let receiver = TestReceiver::start(move |request| match request.method.as_str() {
            "PUT" => TestResponse::new(status).body(body),
            _ => TestResponse::new(404).body(NO_OBJECTS),
        });
        check_outcome(&send(&receiver, true, &[("a", "Fault")]), name, part);
    };
    check(
        403,
        r#"{"error":403,"status":"Missing permission"}"#,
        "unauthorized",
        "Missing",
    );
    let invalid = r#"{"results":[{"code":500,"errors":["Validation failed"],"status":"x"}]}"#;
    check(500, invalid, "misconfigured", "Validation failed");
    check(503, "", "retry", "");
    let exists =
        r#"{"results":[{"code":500,"errors":["Object 'a' already exists."],"status":"x"}]}"#;
    check(500, exists, "retry", "does not find");
}
