//! The outcomes that Alertmanager's responses become.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, Batch, Failure, NewAlert, Outcome, decode_outcome, sample,
};
use delfin_tests::receivers::free_port;
use serde_json::{Value, json};

use crate::{
    server::{FakeAlertmanager, FakeResponse, ReceivedRequest},
    support::Lab,
};

const JSON: &str = "content-type: application/json\r\n";

fn send(urls: &[String], batch: &AlertBatch) -> Outcome {
    let lab = Lab::new();
    let mut exporter = lab.alerts(&json!({ "urls": urls }));
    decode_outcome(exporter.export(batch.as_arrow()))
}

fn outcome_of(response: fn() -> FakeResponse) -> Outcome {
    let receiver = FakeAlertmanager::start(move |_| response());
    send(&[receiver.url()], &sample::alerts(3))
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

fn names(request: &ReceivedRequest) -> Vec<String> {
    let posted: Value = serde_json::from_slice(&request.body).unwrap();
    let names = posted.as_array().unwrap().iter();
    names
        .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
        .collect()
}

/// Stores the valid alerts and responds with 400, like Alertmanager.
fn validating(stored: Arc<Mutex<Vec<String>>>) -> FakeAlertmanager {
    FakeAlertmanager::start(move |request| {
        let names = names(request);
        let bad = names.iter().any(|name| name == "bad");
        stored
            .lock()
            .unwrap()
            .extend(names.into_iter().filter(|name| name != "bad"));
        if bad {
            return FakeResponse::new(400, JSON, "\"invalid label set\"\n");
        }
        FakeResponse::ok()
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
    let outcome = send(&[receiver.url()], &alerts(&all));
    let Err(Failure::Partial { rows }) = outcome else {
        panic!("{outcome:?}")
    };
    let refused: Vec<_> = rows
        .iter()
        .map(|row| (row.rows.clone(), row.retry))
        .collect();
    let expected = [0..1, 300..302, 599..600].map(|rows| (rows, false));
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
    let receiver = FakeAlertmanager::start(move |request| {
        seen.fetch_max(names(request).len(), Ordering::SeqCst);
        assert!(request.head.starts_with("POST /api/v2/alerts HTTP/1.1\r\n"));
        FakeResponse::ok()
    });
    assert_eq!(send(&[receiver.url()], &sample::alerts(700)), Ok(()));
    assert_eq!(most.load(Ordering::SeqCst), 256);
}

#[test]
fn each_status_becomes_its_outcome() {
    use std::time::Duration;
    let check = |response, expected: fn(&Failure) -> bool| {
        let failure = outcome_of(response).unwrap_err();
        assert!(expected(&failure), "{failure:?}");
    };
    check(
        || FakeResponse::new(500, "", "broken"),
        |failure| matches!(failure, Failure::Retry { message, .. } if message.ends_with("500: broken")),
    );
    check(
        || FakeResponse::new(503, "", ""),
        |failure| matches!(failure, Failure::Retry { .. }),
    );
    check(
        || FakeResponse::new(503, "retry-after: 7\r\n", ""),
        |failure| matches!(failure, Failure::Throttled { after, .. } if *after == Some(Duration::from_secs(7))),
    );
    check(
        || FakeResponse::new(429, "", ""),
        |failure| matches!(failure, Failure::Throttled { .. }),
    );
    for response in [
        || FakeResponse::new(401, "", ""),
        || FakeResponse::new(403, "", ""),
    ] {
        check(response, |failure| {
            matches!(failure, Failure::Unauthorized { .. })
        });
    }
    for response in [
        || FakeResponse::new(404, "", ""),
        || FakeResponse::new(301, "location: http://127.0.0.1:1/\r\n", ""),
        // The response of a Go server that expects https: not about an alert.
        || FakeResponse::new(400, "", "Client sent an HTTP request to an HTTPS server."),
    ] {
        check(response, |failure| {
            matches!(failure, Failure::Misconfigured { .. })
        });
    }
}

#[test]
fn an_unavailable_receiver_is_retried_and_the_others_get_the_alerts() {
    let stored = Arc::<Mutex<Vec<String>>>::default();
    let available = validating(Arc::clone(&stored));
    let unavailable = format!("http://127.0.0.1:{}", free_port());
    let outcome = send(
        &[unavailable.clone(), available.url()],
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
    let receiver = FakeAlertmanager::start(move |request| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        if !first {
            return FakeResponse::new(502, "", "gone");
        }
        assert_eq!(names(request).len(), 256);
        FakeResponse::ok()
    });
    let outcome = send(&[receiver.url()], &sample::alerts(300));
    let Err(Failure::Partial { rows }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (rows.len(), rows[0].rows.clone(), rows[0].retry),
        (1, 256..300, true)
    );
}

#[test]
fn credentials_are_sent_and_are_in_no_message() {
    let receiver = FakeAlertmanager::start(|request| {
        let authorized = request
            .head
            .to_ascii_lowercase()
            .contains("authorization: basic dtpodw50zxiy");
        FakeResponse::new(if authorized { 403 } else { 200 }, "", "")
    });
    let lab = Lab::new();
    let settings = json!({ "urls": [receiver.url()], "username": "u", "password": "hunter2" });
    let outcome = lab.alerts(&settings).export(sample::alerts(1).as_arrow());
    let failure = decode_outcome(outcome).unwrap_err();
    assert!(
        matches!(failure, Failure::Unauthorized { .. }),
        "{failure:?}"
    );
    assert!(!failure.to_string().contains("hunter2"));
}
