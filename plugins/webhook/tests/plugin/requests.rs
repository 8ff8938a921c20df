//! The requests that a receiver gets.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use delfin_plugin_api::{
    sample,
    testkit::{TestReceiver, TestRequest, TestResponse, check_outcome},
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{Lab, export, send};

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

/// The one request for a batch of 3 alerts.
fn request(settings: Value) -> TestRequest {
    let receiver = TestReceiver::start(|_| TestResponse::new(200));
    let mut settings = settings;
    settings["url"] = json!(receiver.url("/in?a=b"));
    assert_eq!(send(3, &settings), Ok(()));
    let seen = receiver.requests();
    assert_eq!(seen.len(), 1);
    seen[0].clone()
}

#[test]
fn a_batch_is_one_post_of_an_array() {
    let seen = request(json!({}));
    assert_eq!((&*seen.method, &*seen.path), ("POST", "/in?a=b"));
    assert_eq!(seen.header("content-type"), "application/json");
    let agent = seen.header("user-agent");
    assert!(agent.starts_with("delfin-exporter-webhook/"), "{agent}");
    assert_eq!(seen.header("content-encoding"), "");
    assert_eq!(seen.header("authorization"), "");
    assert_eq!(seen.header("x-delfin-signature"), "");
    let alerts = parsed(&seen.body);
    assert_eq!(alerts.as_array().unwrap().len(), 3);
    assert_eq!(alerts[2]["alert_id"], "2");
}

#[test]
fn series_are_posted_in_the_form_that_ingest_takes() {
    let receiver = TestReceiver::start(|_| TestResponse::new(202));
    let mut exporter = Lab::new().performance(&json!({ "url": receiver.url("/") }));
    let batch = sample::performance(20, 3);
    assert_eq!(exporter.send(&batch), Ok(()));
    let posted = parsed(&receiver.requests()[0].body);
    let rows = posted.as_array().unwrap();
    assert_eq!(rows.len(), 20);
    for (row, series) in rows.iter().zip(batch.series()) {
        assert_eq!(row["name"], series.name());
        for (key, value) in series.labels() {
            assert_eq!(row["labels"][key], value);
        }
        let keys: Vec<_> = row["values"].as_object().unwrap().keys().collect();
        let times: Vec<_> = series.points().map(|(ms, _)| ms.to_string()).collect();
        assert_eq!(keys, times.iter().collect::<Vec<_>>());
        assert_eq!(row.as_object().unwrap().len(), 3);
    }
}

#[test]
fn the_same_rows_have_the_same_key_in_every_attempt_and_instance() {
    let receiver = TestReceiver::start(|_| TestResponse::new(503));
    let lab = Lab::new();
    let settings = json!({ "url": receiver.url("/") });
    let mut exporter = lab.alerts(&settings);
    export(&mut exporter, 3).unwrap_err();
    export(&mut exporter, 3).unwrap_err();
    export(&mut lab.alerts(&settings), 3).unwrap_err();
    export(&mut exporter, 2).unwrap_err();
    let seen = receiver.requests();
    let keys: Vec<_> = seen
        .iter()
        .map(|seen| seen.header("idempotency-key"))
        .collect();
    let three = "07070707-0707-0707-0707-070707070707.0-2";
    let two = "07070707-0707-0707-0707-070707070707.0-1";
    assert_eq!(keys, [three, three, three, two]);
}

#[test]
fn a_compressed_body_decompresses_to_the_same_text() {
    let plain = request(json!({}));
    let packed = request(json!({ "compression": "gzip" }));
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&*packed.body)
        .read_to_end(&mut text)
        .unwrap();
    assert_eq!(text, plain.body);
}

#[test]
fn a_signature_verifies_with_the_secret_the_timestamp_and_the_raw_body() {
    let seen = request(json!({ "hmac_secret": "hunter2", "compression": "gzip" }));
    let time = seen.header("x-delfin-timestamp");
    let mut mac = Hmac::<Sha256>::new_from_slice(b"hunter2").unwrap();
    mac.update(format!("{time}.").as_bytes());
    mac.update(&seen.body);
    let digest = mac.finalize().into_bytes();
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let signature = seen.header("x-delfin-signature");
    assert_eq!(signature, format!("sha256={digest}"));
    assert!(time.parse::<u64>().unwrap() > 1_700_000_000);
}

#[test]
fn credentials_and_headers_are_sent_and_are_in_no_message() {
    let basic = request(json!({ "username": "u", "password": "hunter2" }));
    assert_eq!(basic.header("authorization"), "Basic dTpodW50ZXIy");
    let own = json!({ "headers": { "X-Tenant": "7", "Authorization": "Splunk t" } });
    let own = request(own);
    assert_eq!(own.header("x-tenant"), "7");
    assert_eq!(own.header("authorization"), "Splunk t");
    let receiver = TestReceiver::start(|_| TestResponse::new(401));
    let settings = json!({
        "url": receiver.url("/hunter1"),
        "headers": { "X-Key": "hunter2" },
        "bearer_token": "hunter3",
        "hmac_secret": "hunter4",
    });
    let failure = send(1, &settings).unwrap_err();
    assert_eq!(
        receiver.requests()[0].header("authorization"),
        "Bearer hunter3"
    );
    assert!(!failure.to_string().contains("hunter"), "{failure}");
}

/// The port of a proxy that asks for credentials.
fn proxy() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || tunnel(stream));
        }
    });
    port
}

fn tunnel(client: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let mut client = client;
    if !head.contains("Proxy-Authorization: Basic dTpodW50ZXIy\r\n") {
        let refusal = b"HTTP/1.1 407 x\r\ncontent-length: 0\r\n\r\n";
        return client.write_all(refusal).ok();
    }
    let target = head.strip_prefix("CONNECT ")?.split(' ').next()?;
    let mut server = TcpStream::connect(target).ok()?;
    client.write_all(b"HTTP/1.1 200 x\r\n\r\n").ok()?;
    let (mut from_client, mut to_server) = (reader, server.try_clone().ok()?);
    thread::spawn(move || io::copy(&mut from_client, &mut to_server).ok());
    io::copy(&mut server, &mut client).ok()?;
    Some(())
}

#[test]
fn a_proxy_in_the_settings_is_used() {
    let port = proxy();
    let with_login = json!({ "proxy": format!("http://u:hunter2@127.0.0.1:{port}") });
    let seen = request(with_login);
    assert_eq!(seen.method, "POST");
    let settings = json!({
        "url": "http://localhost:9/",
        "proxy": format!("http://u:hunter9@127.0.0.1:{port}"),
    });
    let outcome = send(1, &settings);
    let refusal = format!(
        "the proxy `http://127.0.0.1:{port}` answers 407 (check the credentials in `proxy`)"
    );
    check_outcome(&outcome, "unauthorized", &refusal);
    assert!(!format!("{outcome:?}").contains("hunter"), "{outcome:?}");
    // Nothing listens once this statement has ended.
    let absent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let absent = format!("http://{}", absent.unwrap());
    let outcome = send(1, &json!({ "url": "http://localhost:9/", "proxy": absent }));
    let reason = format!("cannot connect through the proxy `{absent}`: connection refused (check");
    check_outcome(&outcome, "retry", &reason);
}
