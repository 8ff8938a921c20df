//! The requests that a server of S3 gets, and the outcomes that its responses become.

use delfin_plugin_api::{
    Outcome, PerformanceBatchBuilder, sample,
    testkit::{Harness, TestReceiver, TestResponse, check_outcome},
};
use delfin_tests::receivers::free_port;
use serde_json::json;

use crate::{PERFORMANCE, bucket, stored};

fn outcome_of(response: TestResponse) -> Outcome {
    let receiver = TestReceiver::start(move |_| response.clone());
    let settings = bucket(&receiver.url(""));
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &settings);
    exporter.send(&sample::performance(3, 2))
}

fn error(status: u16, code: &str) -> TestResponse {
    let body = format!("<Error><Code>{code}</Code><Message>why</Message></Error>");
    TestResponse::new(status).body(body)
}

#[test]
fn a_file_is_one_signed_request_with_a_name_of_its_rows() {
    let receiver = TestReceiver::start(|_| stored());
    let mut settings = bucket(&receiver.url(""));
    settings["prefix"] = json!("/a b/");
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &settings);
    let mut batch = PerformanceBatchBuilder::new();
    for storage in ["s", "ü"] {
        batch
            .series("iops", [("storage_id", storage)], [(1, 1.0)])
            .unwrap();
    }
    assert_eq!(exporter.send(&batch.build()), Ok(()));
    assert_eq!(exporter.outcome_of("health"), Ok(()));
    let seen = receiver.requests();
    let start = "/arrays/a%20b/performance/date%3D1970-01-01/storage_id%3D";
    for (request, storage) in seen.iter().zip(["s/", "%25C3%25BC/"]) {
        let path = &request.path;
        assert_eq!(request.method, "PUT");
        assert!(path.starts_with(&format!("{start}{storage}")), "{path}");
        assert!(path.ends_with(".parquet"), "{path}");
        let signed = "AWS4-HMAC-SHA256 Credential=delfin/";
        assert!(request.header("authorization").starts_with(signed));
        assert_eq!(request.body[..4], *b"PAR1");
    }
    assert_eq!(seen[2].path, "/arrays/a%20b/_delfin-host");
    assert_eq!(seen.len(), 3);
}

#[test]
fn an_attempt_goes_on_where_the_one_before_ended() {
    let receiver = TestReceiver::start(|request| {
        if request.path.contains("storage_id%3Db/") {
            return error(503, "SlowDown");
        }
        stored()
    });
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &bucket(&receiver.url("")));
    let mut batch = PerformanceBatchBuilder::new();
    for storage in ["a", "b", "c"] {
        batch
            .series("iops", [("storage_id", storage)], [(1, 1.0)])
            .unwrap();
    }
    let batch = batch.build();
    for _ in 0..2 {
        check_outcome(&exporter.send(&batch), "retry", "SlowDown");
    }
    let paths: Vec<_> = receiver.requests().into_iter().map(|it| it.path).collect();
    let of = |storage: &str| {
        let storage = format!("storage_id%3D{storage}/");
        paths
            .iter()
            .filter(|path| path.contains(&storage))
            .collect::<Vec<_>>()
    };
    assert_eq!((of("a").len(), of("b").len(), of("c").len()), (1, 2, 0));
    assert_eq!(of("b")[0], of("b")[1]);
}

#[test]
fn each_response_becomes_its_outcome() {
    let check = |response, name: &str, part: &str| check_outcome(&outcome_of(response), name, part);
    check(error(403, "AccessDenied"), "unauthorized", "AccessDenied");
    check(error(400, "ExpiredToken"), "unauthorized", "why");
    check(error(404, "NoSuchBucket"), "misconfigured", "NoSuchBucket");
    check(error(301, "PermanentRedirect"), "misconfigured", "");
    check(error(400, "InvalidRequest"), "misconfigured", "why");
    check(error(400, "EntityTooLarge"), "too large", "why");
    check(error(413, ""), "too large", "");
    check(error(400, "RequestTimeout"), "retry", "why");
    check(error(409, "OperationAborted"), "retry", "why");
    check(error(500, "InternalError"), "retry", "why");
    check(error(503, "SlowDown"), "retry", "SlowDown");
    let busy = error(503, "SlowDown").header("retry-after", "7");
    check(busy, "throttled", "why");
    // Not uncertain: the next attempt replaces the file.
    check(TestResponse::closed(), "retry", "");
    let page = TestResponse::new(200).body("<html>Sign in");
    check(page, "misconfigured", "not a response of S3");
    let settings = bucket(&format!("http://127.0.0.1:{}", free_port()));
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &settings);
    let outcome = exporter.send(&sample::performance(1, 1));
    check_outcome(&outcome, "retry", "127.0.0.1");
}
