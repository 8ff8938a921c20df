//! The requests that a server gets, and the outcomes that its responses become.

use delfin_plugin_api::{
    Outcome, sample,
    testkit::{Harness, TestReceiver, TestResponse, check_outcome},
};
use delfin_tests::receivers::free_port;
use serde_json::json;

use crate::{PERFORMANCE, inserts};

fn outcome_of(response: TestResponse) -> Outcome {
    let receiver = TestReceiver::start(move |_| response.clone());
    let settings = json!({ "url": receiver.url(""), "create_table": false });
    Harness::of_crate()
        .start(PERFORMANCE, &settings)
        .send(&sample::performance(3, 2))
}

#[test]
fn the_tables_come_first_and_once() {
    let receiver = TestReceiver::start(inserts);
    let settings = json!({
        "url": receiver.url("/click"),
        "database": "my`db",
        "table": "t",
        "username": "u",
        "password": "p",
        "compression": "none",
    });
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &settings);
    for _ in 0..2 {
        assert_eq!(exporter.send(&sample::performance(3, 2)), Ok(()));
    }
    let seen = receiver.requests();
    assert_eq!(seen.len(), 4);
    let table = String::from_utf8(seen[0].body.clone()).unwrap();
    assert!(
        table.starts_with(r"CREATE TABLE IF NOT EXISTS `my\`db`.`t` (name "),
        "{table}"
    );
    let view = String::from_utf8(seen[1].body.clone()).unwrap();
    assert!(
        view.starts_with(r"CREATE VIEW IF NOT EXISTS `my\`db`.`t_points` AS "),
        "{view}"
    );
    for insert in &seen[2..] {
        let (start, token) = insert
            .path
            .split_once("&insert_deduplication_token=")
            .unwrap();
        assert_eq!(
            start,
            "/click/?async_insert=0&wait_end_of_query=1&insert_deduplicate=1&query=INSERT%20INTO%20%60my%5C%60db%60.%60t%60%20\
             %28name%2C%20labels%2C%20timestamps%2C%20values%29%20FORMAT%20ArrowStream"
        );
        assert!(token.contains("%3A0%2B3"), "{token}");
        assert_eq!(insert.header("authorization"), "Basic dTpw");
        // The mark of an Arrow stream.
        assert_eq!(insert.body[..4], [0xff; 4]);
    }
    // The same rows, so the same token.
    assert_eq!(seen[2].path, seen[3].path);
}

#[test]
fn each_exception_becomes_its_outcome() {
    let exception = |status, code: u32| {
        let text = format!("Code: {code}. DB::Exception: why.");
        let response = TestResponse::new(status).body(text);
        outcome_of(response.header("x-clickhouse-exception-code", &code.to_string()))
    };
    let check = |status, code, name: &str| check_outcome(&exception(status, code), name, "why");
    check(404, 60, "misconfigured");
    check(404, 81, "misconfigured");
    check(400, 16, "misconfigured");
    check(500, 53, "misconfigured");
    check(403, 497, "unauthorized");
    check(403, 516, "unauthorized");
    check(500, 469, "rejected");
    check(400, 349, "rejected");
    // Too many parts, memory, read-only, no space, a code of the future.
    for code in [252, 241, 242, 243, 9999] {
        check(500, code, "retry");
    }
    // With status 200, after the answer has begun.
    check(200, 241, "retry");
}

#[test]
fn each_status_becomes_its_outcome() {
    let check = |response, name: &str| check_outcome(&outcome_of(response), name, "");
    check(TestResponse::new(401), "unauthorized");
    check(TestResponse::new(404), "misconfigured");
    check(TestResponse::new(413), "too large");
    let busy = TestResponse::new(503).header("retry-after", "7");
    check(busy, "throttled");
    check(TestResponse::new(502), "retry");
    check(TestResponse::closed(), "retry");
    check(TestResponse::new(200).cut_off(), "retry");
    check(
        TestResponse::new(200).body("<html>Sign in"),
        "misconfigured",
    );
    let settings = json!({ "url": format!("http://127.0.0.1:{}", free_port()) });
    let mut exporter = Harness::of_crate().start(PERFORMANCE, &settings);
    let outcome = exporter.send(&sample::performance(1, 1));
    check_outcome(&outcome, "retry", "127.0.0.1");
}

#[test]
fn health_runs_a_query() {
    let health = |response: TestResponse| {
        let receiver = TestReceiver::start(move |_| response.clone());
        let settings = json!({ "url": receiver.url("") });
        Harness::of_crate()
            .start(PERFORMANCE, &settings)
            .outcome_of("health")
    };
    assert_eq!(health(TestResponse::new(200).body("1\n")), Ok(()));
    check_outcome(&health(TestResponse::new(401)), "unauthorized", "");
    check_outcome(
        &health(TestResponse::new(200).body("<html>")),
        "misconfigured",
        "",
    );
}
