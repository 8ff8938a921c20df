use std::{io::Read, io::Write, net::TcpStream};

use serde_json::json;

use super::host::{EXPORTER, Host, TWO_POINTS};
use crate::{
    config::{ApiConfig, JournalConfig},
    lifecycle::Phase,
};

#[test]
fn a_running_host_is_ready_and_names_exporters_that_are_not_well() {
    let host = Host::start();
    assert_eq!(host.get("/healthz").json(), json!({"status": "ok"}));
    let answer = host.get("/readyz");
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({
            "ready": true,
            "reasons": [],
            "exporters": [{"name": EXPORTER, "state": "failed"}]
        })
    );
}

#[test]
fn a_draining_host_accepts_no_batch_and_still_answers() {
    let host = Host::start();
    host.phase.send(Phase::Draining).unwrap();
    let answer = host.post("/v1/ingest/performance", TWO_POINTS);
    answer.is_error(
        503,
        "ServiceUnavailable",
        "Service unavailable: the host is stopping, please try again later.",
    );
    assert_eq!(answer.header("retry-after"), Some("5"));
    let ready = host.get("/readyz");
    assert_eq!(
        (ready.status, ready.header("retry-after")),
        (503, Some("5"))
    );
    assert_eq!(ready.json()["reasons"], json!(["the host is stopping"]));
    for path in ["/healthz", "/v1/exporters", "/v1/plugins", "/metrics"] {
        assert_eq!(host.get(path).status, 200, "{path}");
    }
}

#[test]
fn a_host_with_a_full_disk_is_not_ready() {
    let journal = JournalConfig {
        min_free_bytes: u64::MAX,
        ..JournalConfig::default()
    };
    let ready = Host::with(ApiConfig::default(), journal).get("/readyz");
    assert_eq!(ready.status, 503);
    assert_eq!(
        ready.json()["reasons"],
        json!([
            "the disk of the performance journal has less free than `journal.min_free_bytes`",
            "the disk of the alert journal has less free than `journal.min_free_bytes`"
        ])
    );
}

#[test]
fn a_request_in_progress_is_answered_when_the_host_stops() {
    let mut host = Host::start();
    let mut stream = TcpStream::connect(host.address()).unwrap();
    let (head, tail) = TWO_POINTS.split_at(10);
    write!(
        stream,
        "POST /v1/ingest/performance HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        TWO_POINTS.len()
    )
    .unwrap();
    // Once it is asked to go on, the handler has the request.
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    host.stop();
    while TcpStream::connect(host.address()).is_ok() {
        std::thread::yield_now();
    }
    stream.write_all(tail.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
}
