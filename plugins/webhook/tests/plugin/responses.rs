//! The outcomes that a receiver's responses become.

use std::{
    io::{self, Write},
    net::TcpListener,
    time::Duration,
};

use delfin_plugin_api::{
    Failure, Outcome, RowFailure, RowFailureKind, sample,
    testkit::{CallOptions, TestReceiver, TestResponse, check_outcome},
};
use serde_json::json;

use crate::support::{Lab, export, export_within, send, send_to};

fn json_response(status: u16, body: impl Into<Vec<u8>>) -> TestResponse {
    TestResponse::new(status).body(body)
}

fn answered(reply: TestResponse, rows: usize) -> Outcome {
    let receiver = TestReceiver::start(move |_| reply.clone());
    send_to(&receiver.url("/"), rows)
}

/// `(rows, kind, reason)` of each row failure.
fn rows(outcome: Outcome) -> Vec<(std::ops::Range<usize>, RowFailureKind, String)> {
    let Err(Failure::Partial { rows, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    let plain = |RowFailure { rows, kind, reason }| (rows, kind, reason);
    rows.into_iter().map(plain).collect()
}

#[test]
fn every_2xx_is_delivered() {
    for status in [200, 201, 202, 204] {
        assert_eq!(answered(TestResponse::new(status), 3), Ok(()), "{status}");
    }
    for body in ["fine", "{}", "[]", "{\"rejected\":[]}", "{\"rejected\":0}"] {
        assert_eq!(answered(json_response(200, body), 3), Ok(()), "{body}");
    }
    let receipt = r#"{"batch_id":"x","items":3,"state":"durable","rejected":[]}"#;
    assert_eq!(answered(json_response(202, receipt), 3), Ok(()));
}

#[test]
fn each_status_becomes_its_outcome() {
    let with = |status| TestResponse::new(status).body("the reason");
    let after = |status, seconds: &str| with(status).header("retry-after", seconds);
    let check = |response, name: &str| {
        let outcome = answered(response, 3);
        check_outcome(&outcome, name, ": the reason");
        let text = outcome.unwrap_err().to_string();
        assert!(text.starts_with("`http://localhost:"), "{text}");
    };
    check(with(500), "retry");
    check(after(503, "7"), "throttled");
    check(after(429, "2"), "throttled");
    check(after(409, "1"), "retry");
    for status in [401, 403, 407] {
        check(with(status), "unauthorized");
    }
    check(with(413), "too large");
    for status in [400, 422] {
        check(with(status), "rejected");
    }
    check(with(404), "misconfigured");
    let elsewhere = with(307).header("location", "http://127.0.0.1:1/");
    check(elsewhere, "misconfigured");
    let seven = Some(Duration::from_secs(7));
    let failure = answered(after(503, "7"), 3).unwrap_err();
    assert!(matches!(failure, Failure::Throttled { after, .. } if after == seven));
}

#[test]
fn a_web_page_does_not_deliver() {
    let html = |body: &str| {
        TestResponse::new(200)
            .header("content-type", "text/html")
            .body(body)
    };
    for page in ["<!DOCTYPE html><title>Sign in</title>", "<html><body>login"] {
        check_outcome(&answered(html(page), 3), "misconfigured", "a web page");
        check_outcome(
            &answered(TestResponse::new(200).body(page), 3),
            "misconfigured",
            "a web page",
        );
    }
    assert_eq!(answered(html("ok"), 3), Ok(()));
}

#[test]
fn with_a_response_format_only_json_without_an_error_delivers() {
    let answered = |body: &str| {
        let response = TestResponse::new(200).body(body);
        let receiver = TestReceiver::start(move |_| response.clone());
        let settings = json!({ "url": receiver.url("/"), "response_format": "json" });
        send(3, &settings)
    };
    for body in [
        "",
        " \n",
        "{}",
        "[]",
        "7",
        r#"{"status":"success","error":null,"errors":[]}"#,
    ] {
        assert_eq!(answered(body), Ok(()), "{body}");
    }
    check_outcome(&answered("fine"), "misconfigured", "not JSON");
    for body in [
        r#"{"status":"error"}"#,
        r#"{"error":{"code":7}}"#,
        r#"{"errors":["no"]}"#,
        r#"{"success":false}"#,
        r#"{"error_code":"Unauthorized","error_msg":"no"}"#,
    ] {
        check_outcome(&answered(body), "misconfigured", "reports an error");
    }
    check_outcome(
        &answered(r#"{"rejected":[{"index":1}]}"#),
        "partial",
        "1 row",
    );
}

#[test]
fn a_response_that_is_cut_off_is_uncertain() {
    for body in ["", "fine", r#"{"rejected":[{"index":1},"#] {
        let cut_off = TestResponse::new(200).body(body).cut_off();
        check_outcome(&answered(cut_off, 3), "uncertain", "cut off");
    }
    // The length of the body does not tell that it is cut off.
    let ends = TestResponse::new(200).body(r#"{"rejected":[{"index":1}"#);
    check_outcome(&answered(ends, 3), "uncertain", "ends while it names rows");
    let cut_off = TestResponse::new(503).body("no").cut_off();
    check_outcome(&answered(cut_off, 3), "retry", "503: no");
}

#[test]
fn rows_that_a_response_names_get_its_result() {
    let body = r#"{"rejected":[{"index":1,"error":"bad\nunit"},{"index":4}],
                   "retry":[{"index":2,"error":"busy"},{"index":3,"error":"busy"}]}"#;
    for status in [200, 202, 207] {
        assert_eq!(
            rows(answered(json_response(status, body), 6)),
            [
                (1..2, RowFailureKind::Rejected, "bad\\nunit".to_owned()),
                (2..4, RowFailureKind::Retry, "busy".to_owned()),
                (
                    4..5,
                    RowFailureKind::Rejected,
                    "the receiver rejects it".to_owned()
                ),
            ],
            "{status}"
        );
    }
}

#[test]
fn under_a_rejection_only_the_named_rows_are_rejected_and_no_row_is_delivered() {
    let body = r#"{"rejected":[{"index":1,"error":"bad"}]}"#;
    let rows = rows(answered(json_response(422, body), 4));
    let plain: Vec<_> = rows
        .iter()
        .map(|(rows, kind, _)| (rows.clone(), *kind))
        .collect();
    assert_eq!(
        plain,
        [
            (0..1, RowFailureKind::Retry),
            (1..2, RowFailureKind::Rejected),
            (2..4, RowFailureKind::Retry)
        ]
    );
    assert_eq!(rows[1].2, "bad");
    for (status, expected) in [
        (401, "unauthorized"),
        (413, "too large"),
        (429, "throttled"),
        (500, "retry"),
    ] {
        check_outcome(&answered(json_response(status, body), 4), expected, "");
    }
}

#[test]
fn a_response_that_names_unknown_rows_is_uncertain_or_counts_by_its_status() {
    for body in [
        r#"{"rejected":[{"index":3}]}"#,
        r#"{"rejected":[{"index":0},{"index":0}]}"#,
        r#"{"rejected":[{"index":0}],"retry":[{"index":0}]}"#,
        r#"{"rejected":[{"index":18446744073709551615}]}"#,
    ] {
        for status in [200, 207] {
            let outcome = answered(json_response(status, body), 3);
            check_outcome(&outcome, "uncertain", "the response names a row");
        }
        check_outcome(&answered(json_response(400, body), 3), "rejected", "");
    }
}

#[test]
fn a_response_that_is_too_long_is_uncertain_only_if_it_names_rows() {
    let filler = " ".repeat(1 << 20);
    let long = format!("{{\"rejected\":[{filler}{{\"index\":0}}]}}");
    let outcome = answered(json_response(200, long.clone()), 3);
    check_outcome(&outcome, "uncertain", "more rows than fit");
    check_outcome(&answered(json_response(500, long), 3), "retry", "");
    assert_eq!(answered(json_response(200, filler), 3), Ok(()));
}

#[test]
fn a_receiver_that_cannot_be_reached_is_retried() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for url in [
        format!("http://127.0.0.1:{port}/s3cret"),
        "http://no-such-host.invalid/s3cret".to_owned(),
    ] {
        let failure = send_to(&url, 1).unwrap_err();
        assert!(matches!(failure, Failure::Retry { .. }), "{failure:?}");
        assert!(!failure.to_string().contains("s3cret"), "{failure}");
    }
}

#[test]
fn a_connection_that_is_lost_after_the_body_is_uncertain() {
    let uncertain = |outcome: Outcome| check_outcome(&outcome, "uncertain", "");
    uncertain(answered(TestResponse::closed(), 3));
    let receiver = TestReceiver::start(|_| TestResponse::stalled());
    let mut exporter = Lab::new().alerts(&json!({ "url": receiver.url("/") }));
    let short = CallOptions {
        remaining: Duration::from_millis(500),
        ..CallOptions::default()
    };
    uncertain(export_within(&mut exporter, 3, &short));
    assert_eq!(receiver.requests().len(), 1);
}

#[test]
fn a_call_without_time_left_sends_nothing() {
    let receiver = TestReceiver::start(|_| TestResponse::new(200));
    let mut exporter = Lab::new().alerts(&json!({ "url": receiver.url("/") }));
    for (remaining, cancelled) in [(0, false), (60, true)] {
        let call = CallOptions {
            remaining: Duration::from_secs(remaining),
            cancelled,
            ..CallOptions::default()
        };
        check_outcome(&export_within(&mut exporter, 3, &call), "retry", "");
    }
    assert_eq!(export(&mut exporter, 0), Ok(()));
    assert_eq!(receiver.requests().len(), 0);
}

#[test]
fn a_413_before_the_body_is_read_is_too_large() {
    let receiver = TestReceiver::start_unread(TestResponse::new(413));
    let mut exporter = Lab::new().performance(&json!({ "url": receiver.url("/") }));
    // Longer than the buffers of a connection that the receiver does not read.
    let batch = sample::performance(5_000, 100);
    check_outcome(&exporter.send(&batch), "too large", "");
}

#[test]
fn a_server_without_http_is_misconfigured() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 mail ready\r\n\r\n").unwrap();
        io::copy(&mut stream, &mut io::sink()).ok();
    });
    let outcome = send_to(&format!("http://127.0.0.1:{port}"), 1);
    check_outcome(&outcome, "misconfigured", "");
}

#[test]
fn health_sends_no_data_and_fails_only_for_the_path_and_the_credentials() {
    let health = |reply: TestResponse| {
        let receiver = TestReceiver::start(move |_| reply.clone());
        let lab = Lab::new();
        let mut exporter = lab.alerts(&json!({ "url": receiver.url("/x"), "hmac_secret": "s" }));
        let outcome = exporter.outcome_of("health");
        let seen = receiver.requests();
        assert_eq!((&*seen[0].method, &*seen[0].path), ("OPTIONS", "/x"));
        assert_eq!(seen[0].body, b"");
        assert_ne!(seen[0].header("x-delfin-signature"), "");
        outcome
    };
    for status in [200, 204, 403, 404, 405, 500, 501] {
        assert_eq!(health(TestResponse::new(status)), Ok(()), "{status}");
    }
    check_outcome(&health(TestResponse::new(401)), "unauthorized", "");
    for reply in [TestResponse::new(503), TestResponse::closed()] {
        check_outcome(&health(reply), "retry", "");
    }
    let page = TestResponse::new(200).body("<html>Welcome");
    check_outcome(&health(page), "rejected", "a web page, not a response of");
}
