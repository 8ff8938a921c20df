//! The outcomes that a receiver's responses become.

use std::{
    io::{self, Write},
    net::TcpListener,
    time::Duration,
};

use delfin_plugin_api::{
    Batch, Failure, Outcome, RowFailure, decode_outcome, sample, testkit::CallOptions,
};
use serde_json::json;

use crate::{
    server::{Reply, Server},
    support::{Lab, export, export_within, send_to},
};

fn answered(reply: Reply, rows: usize) -> Outcome {
    let receiver = Server::start(move |_| reply.clone());
    send_to(&receiver.url("/"), rows)
}

fn with(status: u16, headers: &'static [(&'static str, &'static str)]) -> Reply {
    Reply::Answer {
        status,
        headers,
        body: "the reason".to_owned(),
    }
}

/// `(rows, retry, reason)` of each row failure.
fn rows(outcome: Outcome) -> Vec<(std::ops::Range<usize>, bool, String)> {
    let Err(Failure::Partial { rows }) = outcome else {
        panic!("{outcome:?}")
    };
    let plain = |RowFailure {
                     rows,
                     retry,
                     reason,
                 }| (rows, retry, reason);
    rows.into_iter().map(plain).collect()
}

#[test]
fn every_2xx_is_delivered() {
    for status in [200, 201, 202, 204] {
        assert_eq!(answered(Reply::status(status), 3), Ok(()), "{status}");
    }
    for body in ["fine", "{}", "[]", "{\"rejected\":[]}", "{\"rejected\":0}"] {
        assert_eq!(answered(Reply::json(200, body), 3), Ok(()), "{body}");
    }
    let receipt = r#"{"batch_id":"x","items":3,"state":"durable","rejected":[]}"#;
    assert_eq!(answered(Reply::json(202, receipt), 3), Ok(()));
}

#[test]
fn each_status_becomes_its_outcome() {
    let check = |reply: Reply, expected: fn(&Failure) -> bool| {
        let failure = answered(reply, 3).unwrap_err();
        assert!(expected(&failure), "{failure:?}");
        let text = failure.to_string();
        assert!(text.starts_with("`http://localhost:"), "{text}");
        assert!(text.ends_with(": the reason"), "{text}");
    };
    check(with(500, &[]), |failure| {
        matches!(failure, Failure::Retry { after: None, .. })
    });
    check(
        with(503, &[("retry-after", "7")]),
        |failure| matches!(failure, Failure::Throttled { after, .. } if *after == Some(Duration::from_secs(7))),
    );
    check(
        with(429, &[("retry-after", "2")]),
        |failure| matches!(failure, Failure::Throttled { after, .. } if *after == Some(Duration::from_secs(2))),
    );
    check(with(409, &[("retry-after", "1")]), |failure| {
        matches!(failure, Failure::Retry { after: Some(_), .. })
    });
    for status in [401, 403, 407] {
        check(with(status, &[]), |failure| {
            matches!(failure, Failure::Unauthorized { .. })
        });
    }
    check(with(413, &[]), |failure| {
        matches!(failure, Failure::TooLarge { .. })
    });
    for status in [400, 422] {
        check(with(status, &[]), |failure| {
            matches!(failure, Failure::Rejected { .. })
        });
    }
    check(with(404, &[]), |failure| {
        matches!(failure, Failure::Misconfigured { .. })
    });
    check(
        with(307, &[("location", "http://127.0.0.1:1/")]),
        |failure| matches!(failure, Failure::Misconfigured { .. }),
    );
}

#[test]
fn rows_that_a_response_names_get_its_result() {
    let body = r#"{"rejected":[{"index":1,"error":"bad\nunit"},{"index":4}],
                   "retry":[{"index":2,"error":"busy"},{"index":3,"error":"busy"}]}"#;
    for status in [200, 202, 207] {
        assert_eq!(
            rows(answered(Reply::json(status, body), 6)),
            [
                (1..2, false, "bad\\nunit".to_owned()),
                (2..4, true, "busy".to_owned()),
                (4..5, false, "the receiver rejects it".to_owned()),
            ],
            "{status}"
        );
    }
}

#[test]
fn under_a_rejection_only_the_named_rows_are_rejected_and_no_row_is_delivered() {
    let body = r#"{"rejected":[{"index":1,"error":"bad"}]}"#;
    let rows = rows(answered(Reply::json(422, body), 4));
    let plain: Vec<_> = rows
        .iter()
        .map(|(rows, again, _)| (rows.clone(), *again))
        .collect();
    assert_eq!(plain, [(0..1, true), (1..2, false), (2..4, true)]);
    assert_eq!(rows[1].2, "bad");
    for (status, expected) in [
        (401, "Unauthorized"),
        (413, "TooLarge"),
        (429, "Throttled"),
        (500, "Retry"),
    ] {
        let failure = answered(Reply::json(status, body), 4).unwrap_err();
        assert!(format!("{failure:?}").starts_with(expected), "{failure:?}");
    }
}

#[test]
fn a_response_that_names_rows_that_were_not_sent_counts_by_its_status() {
    for body in [
        r#"{"rejected":[{"index":3}]}"#,
        r#"{"rejected":[{"index":0},{"index":0}]}"#,
        r#"{"rejected":[{"index":0}],"retry":[{"index":0}]}"#,
        r#"{"rejected":[{"index":-1}]}"#,
        r#"{"rejected":[{"index":18446744073709551615}]}"#,
        "{\"rejected\":[{\"index\":0}",
    ] {
        assert_eq!(answered(Reply::json(200, body), 3), Ok(()), "{body}");
        let failure = answered(Reply::json(400, body), 3).unwrap_err();
        assert!(matches!(failure, Failure::Rejected { .. }), "{failure:?}");
        let failure = answered(Reply::json(207, body), 3).unwrap_err();
        assert!(matches!(failure, Failure::Uncertain { .. }), "{failure:?}");
    }
}

#[test]
fn a_response_that_is_too_long_counts_by_its_status() {
    let long = format!("{}{{\"rejected\":[{{\"index\":0}}]}}", " ".repeat(1 << 20));
    assert_eq!(answered(Reply::json(200, long.clone()), 3), Ok(()));
    let failure = answered(Reply::json(500, long), 3).unwrap_err();
    assert!(matches!(failure, Failure::Retry { .. }), "{failure:?}");
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
    let uncertain = |outcome: Outcome| {
        assert!(
            matches!(outcome, Err(Failure::Uncertain { .. })),
            "{outcome:?}"
        );
    };
    uncertain(answered(Reply::Cut, 3));
    let receiver = Server::start(|_| Reply::Stall);
    let mut exporter = Lab::new().alerts(&json!({ "url": receiver.url("/") }));
    let short = CallOptions {
        remaining: Duration::from_millis(500),
        cancelled: false,
    };
    uncertain(export_within(&mut exporter, 3, &short));
    assert_eq!(receiver.seen().len(), 1);
}

#[test]
fn a_call_without_time_left_sends_nothing() {
    let receiver = Server::start(|_| Reply::status(200));
    let mut exporter = Lab::new().alerts(&json!({ "url": receiver.url("/") }));
    for (remaining, cancelled) in [(0, false), (60, true)] {
        let call = CallOptions {
            remaining: Duration::from_secs(remaining),
            cancelled,
        };
        let failure = export_within(&mut exporter, 3, &call).unwrap_err();
        assert!(matches!(failure, Failure::Retry { .. }), "{failure:?}");
    }
    assert_eq!(export(&mut exporter, 0), Ok(()));
    assert_eq!(receiver.seen().len(), 0);
}

#[test]
fn a_413_before_the_body_is_read_is_too_large() {
    let receiver = Server::start_unread(413);
    let mut exporter = Lab::new().performance(&json!({ "url": receiver.url("/") }));
    // Longer than the buffers of a connection that the receiver does not read.
    let batch = sample::performance(5_000, 100);
    let outcome = decode_outcome(exporter.export(batch.as_arrow()));
    assert!(
        matches!(outcome, Err(Failure::TooLarge { .. })),
        "{outcome:?}"
    );
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
    let failure = send_to(&format!("http://127.0.0.1:{port}"), 1).unwrap_err();
    assert!(
        matches!(failure, Failure::Misconfigured { .. }),
        "{failure:?}"
    );
}

#[test]
fn health_sends_no_data_and_fails_only_for_the_path_and_the_credentials() {
    let health = |reply: Reply| {
        let receiver = Server::start(move |_| reply.clone());
        let lab = Lab::new();
        let mut exporter = lab.alerts(&json!({ "url": receiver.url("/x"), "hmac_secret": "s" }));
        let outcome = decode_outcome(exporter.call("health"));
        let seen = receiver.seen();
        assert_eq!((&*seen[0].method, &*seen[0].path), ("OPTIONS", "/x"));
        assert_eq!(seen[0].body, b"");
        assert_ne!(seen[0].header("x-delfin-signature"), "");
        outcome
    };
    for status in [200, 204, 403, 404, 405, 500, 501] {
        assert_eq!(health(Reply::status(status)), Ok(()), "{status}");
    }
    let failure = health(Reply::status(401)).unwrap_err();
    assert!(
        matches!(failure, Failure::Unauthorized { .. }),
        "{failure:?}"
    );
    for reply in [Reply::status(503), Reply::Cut] {
        let failure = health(reply).unwrap_err();
        assert!(matches!(failure, Failure::Retry { .. }), "{failure:?}");
    }
}
