//! The requests that a receiver gets, and the outcomes that its responses become.

use std::{io::Read, time::Duration};

use delfin_plugin_api::{
    Failure, Outcome, RowFailureKind,
    protobuf::ProtobufWriter,
    sample,
    testkit::{Harness, TestReceiver, TestResponse, check_outcome},
};
use serde_json::json;

use crate::{ALERTS, PERFORMANCE};

fn protobuf(status: u16) -> TestResponse {
    TestResponse::new(status).header("content-type", "application/x-protobuf")
}

fn partial(refused: u64, message: &str) -> TestResponse {
    let mut body = ProtobufWriter::default();
    body.message(1, |partial| {
        partial.uint(1, refused);
        partial.text(2, message);
    });
    protobuf(200).body(body.as_bytes())
}

fn outcome_of(response: TestResponse) -> Outcome {
    let receiver = TestReceiver::start(move |_| response.clone());
    let settings = json!({ "url": receiver.url("") });
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &settings);
    exporter.send(&sample::performance(3, 2))
}

#[test]
fn each_kind_has_its_path() {
    let receiver = TestReceiver::start(|_| protobuf(200));
    let harness = Harness::of_crate();
    let settings = json!({ "url": receiver.url("/otlp/"), "username": "u", "password": "p" });
    let mut metrics = harness.start(PERFORMANCE, &settings);
    assert_eq!(metrics.send(&sample::performance(3, 2)), Ok(()));
    let settings = json!({ "url": receiver.url(""), "compression": "none" });
    assert_eq!(
        harness.start(ALERTS, &settings).send(&sample::alerts(3)),
        Ok(())
    );
    assert_eq!(metrics.outcome_of("health"), Ok(()));
    let seen = receiver.requests();
    let paths: Vec<_> = seen.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/otlp/v1/metrics", "/v1/logs", "/otlp/v1/metrics"]);
    assert_eq!(seen[0].header("content-type"), "application/x-protobuf");
    assert_eq!(seen[0].header("content-encoding"), "gzip");
    assert_eq!(seen[0].header("authorization"), "Basic dTpw");
    assert_eq!(seen[1].header("content-encoding"), "");
    let mut body = Vec::new();
    let mut unzipped = flate2::read::GzDecoder::new(&*seen[0].body);
    unzipped.read_to_end(&mut body).unwrap();
    let name = b"delfin.volume.throughput";
    assert!(body.windows(name.len()).any(|part| part == name));
}

#[test]
fn rows_are_not_sent_again_if_some_are_refused() {
    let Err(Failure::Partial { rows, .. }) = outcome_of(partial(2, "no unit")) else {
        panic!("not partial");
    };
    assert_eq!(
        (rows[0].rows.clone(), rows[0].kind),
        (0..3, RowFailureKind::Rejected)
    );
    assert_eq!(rows[0].reason, "the receiver refuses 2 of 6: no unit");
    // A warning.
    assert_eq!(outcome_of(partial(0, "old SDK")), Ok(()));
}

#[test]
fn a_delay_in_the_body_is_more_exact_than_that_of_the_header() {
    let mut status = ProtobufWriter::default();
    status.uint(1, 14);
    status.text(2, "busy");
    status.message(3, |any| {
        any.text(1, "type.googleapis.com/google.rpc.RetryInfo");
        any.message(2, |info| {
            info.message(1, |delay| {
                delay.uint(1, 1);
                delay.uint(2, 500_000_000);
            });
        });
    });
    for status_code in [429, 503] {
        let response = protobuf(status_code).body(status.as_bytes());
        for response in [response.clone(), response.header("retry-after", "1")] {
            let Err(Failure::Throttled { message, after }) = outcome_of(response) else {
                panic!("not throttled");
            };
            assert!(
                message.ends_with(&format!("answers {status_code}: busy")),
                "{message}"
            );
            assert_eq!(after, Some(Duration::from_millis(1500)));
        }
    }
}

#[test]
fn each_status_becomes_its_outcome() {
    let check = |response, name: &str, part: &str| check_outcome(&outcome_of(response), name, part);
    let mut status = ProtobufWriter::default();
    status.uint(1, 3);
    status.text(2, "bad metric");
    check(
        protobuf(400).body(status.as_bytes()),
        "rejected",
        "answers 400: bad metric",
    );
    check(TestResponse::new(400).body("no"), "rejected", "no");
    check(TestResponse::new(401), "unauthorized", "");
    check(TestResponse::new(404), "misconfigured", "");
    check(TestResponse::new(413), "too large", "");
    check(
        TestResponse::new(429).header("retry-after", "7"),
        "throttled",
        "",
    );
    check(
        TestResponse::new(503).header("retry-after", "7"),
        "throttled",
        "",
    );
    check(TestResponse::new(502), "retry", "");
    check(TestResponse::new(504), "retry", "");
    check(TestResponse::closed(), "uncertain", "");
    check(protobuf(200).body("\n").cut_off(), "uncertain", "");
    check(
        TestResponse::new(200).body("<html>Sign in"),
        "misconfigured",
        "not a response of OTLP",
    );
    check(protobuf(200).body("<html>"), "misconfigured", "");
    assert_eq!(outcome_of(TestResponse::new(200).body("{}")), Ok(()));
}
