//! What a call reports, by what the receiver does.

use std::{
    io::{Read, Write},
    time::Duration,
};

use delfin_plugin_api::{
    Outcome, sample,
    testkit::{CallOptions, Harness, check_outcome},
};
use delfin_tests::receivers::free_port;
use serde_json::{Value, json};

use crate::{
    ALERTS,
    support::{reader, receiver},
};

fn send(settings: &Value, options: &CallOptions) -> Outcome {
    Harness::of_crate()
        .start(ALERTS, settings)
        .send_with(&sample::alerts(100), options)
}

fn tcp(port: u16) -> Value {
    json!({ "address": format!("localhost:{port}"), "transport": "tcp" })
}

#[test]
fn a_batch_is_delivered_when_the_receiver_has_read_it_and_closes() {
    assert_eq!(send(&tcp(reader()), &CallOptions::default()), Ok(()));
}

#[test]
fn a_receiver_that_does_not_read_everything_is_uncertain() {
    let resets = receiver(|mut stream| drop(stream.read(&mut [0])));
    check_outcome(
        &send(&tcp(resets), &CallOptions::default()),
        "uncertain",
        "",
    );
    // It reads everything, and keeps the connection.
    let keeps = receiver(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
        std::mem::forget(stream);
    });
    let short = CallOptions {
        remaining: Duration::from_millis(500),
        ..CallOptions::default()
    };
    check_outcome(
        &send(&tcp(keeps), &short),
        "uncertain",
        "`confirm_by_close = false`",
    );
}

#[test]
fn a_receiver_that_is_not_there_is_retried() {
    for transport in ["tcp", "tls", "udp"] {
        let settings =
            json!({ "address": format!("localhost:{}", free_port()), "transport": transport });
        let outcome = send(&settings, &CallOptions::default());
        check_outcome(&outcome, "retry", "localhost");
    }
    let unknown = json!({ "address": "no-such-host.invalid" });
    check_outcome(
        &send(&unknown, &CallOptions::default()),
        "retry",
        "no-such-host.invalid",
    );
}

#[test]
fn a_call_without_time_left_sends_nothing() {
    for (remaining, cancelled) in [(0, false), (60, true)] {
        let options = CallOptions {
            remaining: Duration::from_secs(remaining),
            cancelled,
            ..CallOptions::default()
        };
        check_outcome(&send(&tcp(reader()), &options), "retry", "");
    }
}

#[test]
fn a_receiver_without_tls_is_misconfigured() {
    let port = receiver(|mut stream| {
        drop(stream.write_all(b"220 mail ready\r\n"));
    });
    let settings = json!({ "address": format!("localhost:{port}"), "transport": "tls" });
    let outcome = send(&settings, &CallOptions::default());
    check_outcome(&outcome, "misconfigured", "does not speak TLS");
}
