//! The requests that a receiver gets, and the outcomes that its responses become.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use delfin_plugin_api::{
    Failure, Outcome, PerformanceBatch, PerformanceBatchBuilder, RowFailureKind, sample,
    testkit::{Harness, TestReceiver, TestRequest, TestResponse, check_outcome},
};
use serde_json::json;

use crate::EXPORTER;

const WRITTEN: &str = "x-prometheus-remote-write-samples-written";

/// Series with these names and two points each.
fn batch(names: &[&str]) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    for name in names {
        batch
            .series(name, [("k", "a\"b\n")], [(1, 1.0), (2, 2.0)])
            .unwrap();
    }
    batch.build()
}

fn is_v2(request: &TestRequest) -> bool {
    request
        .header("content-type")
        .ends_with("proto=io.prometheus.write.v2.Request")
}

fn stored(points: u64) -> TestResponse {
    TestResponse::new(204).header(WRITTEN, &points.to_string())
}

/// What Prometheus says about a point that it refuses.
fn refusal(name: &str) -> String {
    format!(
        "out of order sample for series {{__name__=\"{name}\", k=\"a\\\"b\\n\", type=\"RAW\", \
         value_type=\"gauge\"}}\n"
    )
}

fn outcome_of(protocol: &str, names: &[&str], response: TestResponse) -> Outcome {
    let receiver = TestReceiver::start(move |_| response.clone());
    let settings = json!({ "url": receiver.url(""), "protocol": protocol });
    Harness::of_crate()
        .start(EXPORTER, &settings)
        .send(&batch(names))
}

#[test]
fn a_receiver_that_confirms_points_gets_version_2() {
    let receiver = TestReceiver::start(|_| stored(4));
    let settings = json!({ "url": receiver.url("/api/v1/write"), "bearer_token": "t" });
    let mut exporter = Harness::of_crate().start(EXPORTER, &settings);
    for _ in 0..2 {
        assert_eq!(exporter.send(&batch(&["a", "b"])), Ok(()));
    }
    assert_eq!(exporter.outcome_of("health"), Ok(()));
    let seen = receiver.requests();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(is_v2));
    assert_eq!(seen[0].path, "/api/v1/write");
    assert_eq!(seen[0].header("content-encoding"), "snappy");
    assert_eq!(seen[0].header("x-prometheus-remote-write-version"), "2.0.0");
    assert_eq!(seen[0].header("authorization"), "Bearer t");
}

#[test]
fn a_receiver_that_knows_only_version_1_gets_all_points_in_it() {
    // Some answer 415, some 400, and some store nothing of a message that they do not know.
    for status in [415, 400, 204] {
        let receiver = TestReceiver::start(move |request| match is_v2(request) {
            true => TestResponse::new(status),
            false => TestResponse::new(204),
        });
        let settings = json!({ "url": receiver.url("") });
        let mut exporter = Harness::of_crate().start(EXPORTER, &settings);
        for _ in 0..2 {
            assert_eq!(exporter.send(&batch(&["a"])), Ok(()), "{status}");
        }
        let versions: Vec<_> = receiver.requests().iter().map(is_v2).collect();
        assert_eq!(versions, [true, false, false], "{status}");
    }
    let outcome = outcome_of("2.0", &["a"], TestResponse::new(204));
    check_outcome(&outcome, "misconfigured", "confirms no point");
    let outcome = outcome_of("2.0", &["a"], TestResponse::new(415));
    check_outcome(&outcome, "misconfigured", "415");
}

#[test]
fn a_web_page_delivers_nothing() {
    for protocol in ["auto", "1.0", "2.0"] {
        let page = TestResponse::new(200).body("<html>Sign in");
        check_outcome(&outcome_of(protocol, &["a"], page), "misconfigured", "");
    }
}

#[test]
fn json_that_reports_an_error_delivers_nothing() {
    for protocol in ["auto", "1.0"] {
        let error = TestResponse::new(200).body(r#"{"status":"error","error":"sign in"}"#);
        check_outcome(
            &outcome_of(protocol, &["a"], error),
            "misconfigured",
            "sign in",
        );
    }
}

#[test]
fn rows_that_version_2_names_are_rejected_and_the_others_are_delivered() {
    let answer = |written: u64, body: String| {
        let response = TestResponse::new(400).header(WRITTEN, &written.to_string());
        outcome_of("auto", &["a", "b", "c"], response.body(body))
    };
    let Err(Failure::Partial { rows, .. }) = answer(4, refusal("b") + &refusal("b")) else {
        panic!("not partial");
    };
    assert_eq!(
        (rows.len(), rows[0].rows.clone(), rows[0].kind),
        (1, 1..2, RowFailureKind::Rejected)
    );
    assert!(
        rows[0]
            .reason
            .starts_with("2 of 2 points are refused: out of order")
    );
    // A list that names other series, or not every point, does not count: the host sends
    // smaller requests.
    for body in [refusal("b"), refusal("d") + &refusal("d"), String::new()] {
        check_outcome(&answer(4, body), "rejected", "400");
    }
}

#[test]
fn points_that_are_missing_in_the_confirmation_are_not_delivered() {
    check_outcome(
        &outcome_of("auto", &["a", "b"], stored(3)),
        "rejected",
        "stored 3 of 4 points",
    );
    assert_eq!(outcome_of("auto", &["a", "b"], stored(4)), Ok(()));
}

#[test]
fn a_row_that_the_receiver_may_have_already_is_delivered() {
    let send_twice = |first: TestResponse| {
        let calls = AtomicUsize::new(0);
        let receiver = TestReceiver::start(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
            0 => stored(2),
            1 => first.clone(),
            _ => TestResponse::new(400)
                .header(WRITTEN, "1")
                .body(refusal("a")),
        });
        let settings = json!({ "url": receiver.url("") });
        let mut exporter = Harness::of_crate().start(EXPORTER, &settings);
        assert_eq!(exporter.send(&batch(&["other"])), Ok(()));
        exporter.send(&batch(&["a"])).ok();
        exporter.send(&batch(&["a"]))
    };
    assert_eq!(send_twice(TestResponse::closed()), Ok(()));
    assert_eq!(send_twice(TestResponse::new(500)), Ok(()));
    let refused = send_twice(TestResponse::new(401));
    assert!(
        matches!(refused, Err(Failure::Partial { .. })),
        "{refused:?}"
    );
}

#[test]
fn in_version_1_a_refused_point_takes_no_other_with_it() {
    let calls = Mutex::new(0);
    let receiver = TestReceiver::start(move |_| {
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        match *calls {
            1 | 2 => TestResponse::new(400).body("out of order sample"),
            _ => TestResponse::new(204),
        }
    });
    let settings = json!({ "url": receiver.url(""), "protocol": "1.0" });
    let mut exporter = Harness::of_crate().start(EXPORTER, &settings);
    let Err(Failure::Partial { rows, .. }) = exporter.send(&batch(&["a"])) else {
        panic!("not partial");
    };
    assert!(
        rows[0].reason.starts_with("1 of 2 points are refused"),
        "{rows:?}"
    );
    assert_eq!(receiver.requests().len(), 3);
    // Several rows are found by the host, because version 1 names none.
    let all = outcome_of(
        "1.0",
        &["a", "b"],
        TestResponse::new(400).body("out of order sample"),
    );
    check_outcome(&all, "rejected", "400");
}

#[test]
fn requests_at_the_same_time_have_each_series_once_and_fail_by_themselves() {
    let bodies = Mutex::new(BTreeMap::<Vec<u8>, usize>::new());
    let receiver = TestReceiver::start(move |request| {
        let mut bodies = bodies.lock().unwrap();
        let number = bodies.len();
        match *bodies.entry(request.body.clone()).or_insert(number) {
            0 => TestResponse::new(503),
            _ => TestResponse::new(204),
        }
    });
    let settings = json!({ "url": receiver.url(""), "protocol": "1.0", "workers": 4 });
    let mut exporter = Harness::of_crate().start(EXPORTER, &settings);
    let Err(Failure::Partial { rows, .. }) = exporter.send(&sample::performance(1000, 15)) else {
        panic!("not partial");
    };
    let failed: usize = rows.iter().map(|failure| failure.rows.len()).sum();
    assert!(
        (100..500).contains(&failed),
        "about a quarter of 1000 rows: {failed}"
    );
    assert!(
        rows.iter()
            .all(|failure| failure.kind == RowFailureKind::Retry)
    );
    assert_eq!(receiver.requests().len(), 4);
}

#[test]
fn each_status_becomes_its_outcome() {
    let check = |response: TestResponse, name: &str| {
        for protocol in ["1.0", "2.0"] {
            let outcome = outcome_of(protocol, &["a", "b"], response.clone());
            check_outcome(&outcome, name, "");
        }
    };
    check(TestResponse::new(400), "rejected");
    check(TestResponse::new(401), "unauthorized");
    check(TestResponse::new(404), "misconfigured");
    check(TestResponse::new(413), "too large");
    check(
        TestResponse::new(429).header("retry-after", "7"),
        "throttled",
    );
    check(TestResponse::new(500), "retry");
    check(TestResponse::new(503), "retry");
    check(TestResponse::closed(), "retry");
    let empty = PerformanceBatchBuilder::new();
    let settings = json!({ "url": "http://localhost:1" });
    assert_eq!(
        Harness::of_crate()
            .start(EXPORTER, &settings)
            .send(&empty.build()),
        Ok(())
    );
}
