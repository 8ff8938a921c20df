//! The requests that a server gets, and the outcomes that its responses become.

use std::io::Read;

use delfin_plugin_api::{
    Failure, Outcome, PerformanceBatch, PerformanceBatchBuilder, RowFailureKind, sample,
    testkit::{Harness, TestReceiver, TestResponse, check_outcome},
};
use delfin_tests::receivers::free_port;
use serde_json::{Value, json};

use crate::{ALERTS, PERFORMANCE};

/// Three series with two points each.
fn batch() -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    for name in ["a", "b", "c"] {
        batch
            .series(name, [("k", "v")], [(1, 1.0), (2, 2.0)])
            .unwrap();
    }
    batch.build()
}

fn outcome_of(response: TestResponse) -> Outcome {
    let receiver = TestReceiver::start(move |_| response.clone());
    let settings = json!({ "url": receiver.url(""), "bucket": "b" });
    Harness::of_crate()
        .start(PERFORMANCE, &settings)
        .send(&batch())
}

#[test]
fn both_apis_get_the_lines() {
    let receiver = TestReceiver::start(|_| TestResponse::new(204));
    let harness = Harness::of_crate();
    let v1 = json!({
        "url": receiver.url("/influx"),
        "database": "my db",
        "username": "u",
        "password": "p",
        "compression": "none",
    });
    assert_eq!(harness.start(PERFORMANCE, &v1).send(&batch()), Ok(()));
    let v2 = json!({ "url": receiver.url("/"), "bucket": "b", "org": "o", "token": "t" });
    assert_eq!(harness.start(ALERTS, &v2).send(&sample::alerts(3)), Ok(()));
    let seen = receiver.requests();
    let paths: Vec<_> = seen.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/influx/write?db=my%20db&precision=ms",
            "/api/v2/write?bucket=b&org=o&precision=ns",
        ]
    );
    assert_eq!(seen[0].header("authorization"), "Basic dTpw");
    assert_eq!(seen[1].header("authorization"), "Token t");
    let text = String::from_utf8(seen[0].body.clone()).unwrap();
    assert_eq!(text.lines().next(), Some("delfin,k=v a=1.0 1"));
    assert_eq!(text.lines().count(), 6);
    assert_eq!(seen[1].header("content-encoding"), "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*seen[1].body)
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(text.starts_with("alert,category=Fault,"), "{text}");
}

#[test]
fn rows_without_points_send_nothing() {
    let receiver = TestReceiver::start(|_| TestResponse::new(204));
    let settings = json!({ "url": receiver.url(""), "bucket": "b" });
    let mut batch = PerformanceBatchBuilder::new();
    batch.series("a", [("k", "v")], [(1, f64::NAN)]).unwrap();
    assert_eq!(
        Harness::of_crate()
            .start(PERFORMANCE, &settings)
            .send(&batch.build()),
        Ok(())
    );
    assert!(receiver.requests().is_empty());
}

#[test]
fn lines_that_influxdb_3_names_become_rows() {
    let answer = |lines: &[usize]| {
        let data: Vec<_> = lines
            .iter()
            .map(|line| json!({ "original_line": "x", "line_number": line, "error_message": "no\nunit" }))
            .collect();
        let body = json!({ "error": "partial write of line protocol occurred", "data": data });
        outcome_of(TestResponse::new(400).body(body.to_string()))
    };
    let Err(Failure::Partial { rows, .. }) = answer(&[3, 4, 6]) else {
        panic!("not partial")
    };
    assert_eq!(
        (rows.len(), rows[0].rows.clone(), rows[0].kind),
        (1, 1..3, RowFailureKind::Rejected)
    );
    assert_eq!(rows[0].reason, "no\\nunit");
    // A list that names other lines, or may be incomplete, does not count.
    for lines in [&[7][..], &[0], &[], &[1; 100]] {
        check_outcome(&answer(lines), "rejected", "400");
    }
}

#[test]
fn each_status_becomes_its_outcome() {
    let check = |response, name: &str| check_outcome(&outcome_of(response), name, "");
    let partial = r#"{"code":"unprocessable entity","message":"partial write: points beyond retention policy dropped=1"}"#;
    check(TestResponse::new(422).body(partial), "rejected");
    check(
        TestResponse::new(400).body(r#"{"error":"unable to parse 'x': missing fields"}"#),
        "rejected",
    );
    check(TestResponse::new(401), "unauthorized");
    check(
        TestResponse::new(404).body(r#"{"error":"database not found: \"d\""}"#),
        "misconfigured",
    );
    check(TestResponse::new(413), "too large");
    check(
        TestResponse::new(429).header("retry-after", "7"),
        "throttled",
    );
    check(
        TestResponse::new(503).header("retry-after", "7"),
        "throttled",
    );
    check(
        TestResponse::new(500).body(r#"{"error":"timeout"}"#),
        "retry",
    );
    check(TestResponse::closed(), "retry");
    check(
        TestResponse::new(200).body("<html>Sign in"),
        "misconfigured",
    );
    check(TestResponse::new(200).body("{}"), "misconfigured");
    check(TestResponse::new(200).cut_off(), "retry");
    assert_eq!(outcome_of(TestResponse::new(200)), Ok(()));
    let settings = json!({ "url": format!("http://127.0.0.1:{}", free_port()), "database": "d" });
    check_outcome(
        &Harness::of_crate()
            .start(PERFORMANCE, &settings)
            .send(&batch()),
        "retry",
        "127.0.0.1",
    );
}

#[test]
fn health_writes_no_point() {
    let health = |response: TestResponse| {
        let receiver = TestReceiver::start(move |_| response.clone());
        let settings: Value = json!({ "url": receiver.url(""), "database": "d" });
        let outcome = Harness::of_crate()
            .start(PERFORMANCE, &settings)
            .outcome_of("health");
        assert_eq!(receiver.requests()[0].body, b"");
        outcome
    };
    let no_points = r#"{"code":"invalid","message":"writing requires points"}"#;
    for response in [
        TestResponse::new(204),
        TestResponse::new(400).body(no_points),
        TestResponse::new(400).header("x-influxdb-version", "3.2.0"),
    ] {
        assert_eq!(health(response), Ok(()));
    }
    check_outcome(&health(TestResponse::new(401)), "unauthorized", "");
    check_outcome(&health(TestResponse::new(404)), "misconfigured", "");
    check_outcome(&health(TestResponse::new(503)), "retry", "");
    let page = || "<html>Welcome</html>";
    let shop = "not a response of InfluxDB";
    check_outcome(
        &health(TestResponse::new(200).body(page())),
        "misconfigured",
        shop,
    );
    check_outcome(
        &health(TestResponse::new(400).body(page())),
        "rejected",
        shop,
    );
}
