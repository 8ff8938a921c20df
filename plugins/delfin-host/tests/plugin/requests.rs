//! The requests that another host gets, and the outcomes that its responses become.

use delfin_plugin_api::{
    Outcome, sample,
    testkit::{Harness, TestReceiver, TestResponse, check_outcome},
};
use serde_json::json;

use crate::{ALERTS, PERFORMANCE};

fn stored() -> TestResponse {
    TestResponse::new(202).body(r#"{"batch_id":"b","items":6,"state":"durable"}"#)
}

fn outcome_of(response: TestResponse) -> Outcome {
    let receiver = TestReceiver::start(move |_| response.clone());
    let settings = json!({ "url": receiver.url("") });
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &settings);
    exporter.send(&sample::performance(3, 2))
}

#[test]
fn a_batch_is_sent_with_its_id_and_its_origin() {
    let receiver = TestReceiver::start(|_| stored());
    let harness = Harness::of_crate();
    let settings = json!({ "url": receiver.url("/edge/"), "bearer_token": "t" });
    let mut points = harness.start(PERFORMANCE, &settings);
    assert_eq!(points.send(&sample::performance(3, 2)), Ok(()));
    let settings = json!({ "url": receiver.url(""), "compression": "none" });
    assert_eq!(
        harness.start(ALERTS, &settings).send(&sample::alerts(3)),
        Ok(())
    );
    let seen = receiver.requests();
    let paths: Vec<_> = seen.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/edge/v1/ingest/performance?strict=true",
            "/v1/ingest/alerts?strict=true"
        ]
    );
    for (name, value) in [
        ("content-type", "application/vnd.apache.arrow.stream"),
        ("content-encoding", "zstd"),
        (
            "idempotency-key",
            "07070707-0707-0707-0707-070707070707/0+3",
        ),
        ("batch-origin", "ingest"),
        ("authorization", "Bearer t"),
    ] {
        assert_eq!(seen[0].header(name), value);
    }
    let stream = zstd::decode_all(&*seen[0].body).unwrap();
    assert!(stream.starts_with(b"\xff\xff\xff\xff"));
    assert!(seen[1].body.starts_with(b"\xff\xff\xff\xff"));
}

#[test]
fn each_response_becomes_its_outcome() {
    let check = |response, name: &str, part: &str| check_outcome(&outcome_of(response), name, part);
    check(stored(), "delivered", "");
    check(TestResponse::new(400).body("no"), "rejected", "no");
    check(TestResponse::new(401), "unauthorized", "");
    check(TestResponse::new(404), "misconfigured", "");
    check(TestResponse::new(413), "too large", "");
    check(TestResponse::new(503), "retry", "");
    check(
        TestResponse::new(429).header("retry-after", "7"),
        "throttled",
        "",
    );
    check(TestResponse::closed(), "retry", "");
    check(stored().cut_off(), "retry", "cut off");
    for body in ["", "{}", "<html>Sign in</html>", r#"{"batch_id":""}"#] {
        let response = TestResponse::new(200).body(body);
        check(response, "misconfigured", "not a response of delfin-host");
    }
    let other = TestResponse::new(202).body(r#"{"batch_id":"b","complete_for":"s"}"#);
    check(other, "misconfigured", "does not confirm");
}

#[test]
fn health_asks_whether_the_other_host_accepts_batches() {
    let health = |response: TestResponse| {
        let receiver = TestReceiver::start(move |_| response.clone());
        let settings = json!({ "url": receiver.url("") });
        let outcome = Harness::of_crate()
            .start(ALERTS, &settings)
            .outcome_of("health");
        let request = &receiver.requests()[0];
        assert_eq!((&*request.method, &*request.path), ("GET", "/readyz"));
        outcome
    };
    let ready = TestResponse::new(200).header("content-type", "application/json");
    let is_ready = r#"{"ready":true,"reasons":[],"exporters":[]}"#;
    assert_eq!(health(ready.clone().body(is_ready)), Ok(()));
    for response in [ready.body("{}"), TestResponse::new(200)] {
        check_outcome(&health(response), "misconfigured", "not a response of");
    }
    check_outcome(&health(TestResponse::new(503)), "retry", "");
}
