//! The page over HTTP.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use delfin_plugin_api::{Batch, sample, testkit::TestInstance};
use delfin_tests::receivers::free_port;
use flate2::read::GzDecoder;
use serde_json::json;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::support::{Lab, get, get_over, get_raw};

pub(crate) fn export(page: &mut TestInstance, batch: &impl Batch) {
    assert_eq!(page.send(batch), Ok(()));
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/metrics")
}

#[test]
fn a_scrape_gets_the_format_that_it_accepts_and_changes_nothing() {
    let (lab, port) = (Lab::new(), free_port());
    let mut page = lab.page(json!({}), port);
    export(&mut page, &sample::performance(3000, 2));
    let text = get(&url(port), &[]).unwrap();
    let (head, plain) = get_raw(port, "/metrics", "");
    assert!(!head.contains("content-encoding"), "{head}");
    assert_eq!(plain, text.body);
    assert_eq!(
        text.content_type,
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let open = get(&url(port), &[("accept", "application/openmetrics-text")]).unwrap();
    assert_eq!(
        open.content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert_eq!(open.text(), format!("{}# EOF\n", text.text()));
    let (head, packed) = get_raw(port, "/metrics", "accept-encoding: gzip\r\n");
    assert!(head.contains("\r\ncontent-encoding: gzip\r\n"), "{head}");
    assert!(packed.len() * 5 < text.body.len());
    let mut unpacked = String::new();
    GzDecoder::new(&*packed)
        .read_to_string(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, text.text());
    assert_eq!(get(&url(port), &[]).unwrap(), text);
}

#[test]
fn scrapes_at_the_same_time_get_the_same_page() {
    let (lab, port) = (Lab::new(), free_port());
    let mut page = lab.page(json!({}), port);
    export(&mut page, &sample::performance(20_000, 1));
    let scrape = || thread::spawn(move || get(&url(port), &[]).unwrap());
    let scrapes: Vec<_> = std::iter::repeat_with(scrape).take(8).collect();
    let pages: Vec<_> = scrapes
        .into_iter()
        .map(|scrape| scrape.join().unwrap())
        .collect();
    assert_eq!(pages[0].text().lines().count(), 20_000 + 2 * 15);
    assert!(pages.iter().all(|page| *page == pages[0]));
}

#[test]
fn clients_that_stall_or_send_invalid_requests_do_not_block_other_scrapes() {
    let (lab, port) = (Lab::new(), free_port());
    let mut page = lab.page(json!({}), port);
    export(&mut page, &sample::performance(100_000, 1));
    let stalled: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            // Requests a page that exceeds every buffer, and reads nothing.
            stream
                .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
                .unwrap();
            stream
        })
        .collect();
    let mut long = TcpStream::connect(("127.0.0.1", port)).unwrap();
    long.set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let header = format!(
        "GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    long.write_all(header.as_bytes()).ok();
    let mut refused = Vec::new();
    long.read_to_end(&mut refused).ok();
    assert!(!String::from_utf8_lossy(&refused).contains("200 OK"));
    assert_eq!(get(&url(port), &[]).unwrap().status, 200);
    export(&mut page, &sample::performance(100_000, 2));
    drop(stalled);
}

#[test]
fn other_paths_and_methods_are_refused() {
    let (lab, port) = (Lab::new(), free_port());
    let _page = lab.page(json!({}), port);
    let base = format!("http://127.0.0.1:{port}");
    assert_eq!(get(&format!("{base}/"), &[]).unwrap().status, 404);
    let post = ureq::post(url(port)).send("x");
    assert!(
        matches!(post, Err(ureq::Error::StatusCode(405))),
        "{post:?}"
    );
    assert_eq!(ureq::head(url(port)).call().unwrap().status(), 200);
}

#[test]
fn a_scrape_without_the_password_is_refused() {
    let (lab, port) = (Lab::new(), free_port());
    let settings = json!({ "username": "prom", "password": "secret" });
    let mut page = lab.page(settings, port);
    export(&mut page, &sample::performance(10, 1));
    let ask = |headers: &[(&str, &str)]| get(&url(port), headers).unwrap();
    let refused = ask(&[]);
    assert_eq!(refused.status, 401);
    assert!(!refused.text().contains("iops"));
    assert_eq!(
        ask(&[("authorization", "Basic cHJvbTpzZWNyZQ==")]).status,
        401
    );
    assert_eq!(
        ask(&[("authorization", "Basic cHJvbTpzZWNyZXQ=")]).status,
        200
    );
}

#[test]
fn with_a_certificate_the_page_is_https() {
    let (lab, port) = (Lab::new(), free_port());
    let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = [lab.path("page.pem"), lab.path("page.key")];
    std::fs::write(&files[0], authority.cert.pem()).unwrap();
    std::fs::write(&files[1], authority.signing_key.serialize_pem()).unwrap();
    let settings = json!({ "tls_certificate": files[0], "tls_key": files[1] });
    let mut page = lab.page(settings, port);
    export(&mut page, &sample::performance(10, 1));
    let root = Certificate::from_pem(authority.cert.pem().as_bytes()).unwrap();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&[root]))
        .build();
    let scraped = get_over(tls, &format!("https://localhost:{port}/metrics"), &[]).unwrap();
    assert_eq!(scraped.status, 200);
    assert!(get(&url(port), &[]).is_err(), "without TLS");

    let settings = json!({
        "metric_server_port": 0,
        "tls_certificate": files[0],
        "tls_key": files[1],
    });
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for (key, reason) in [
        ("no key", "page.key`: it holds no key in the form PEM"),
        (&*other, "page.key`: it is not the key of `tls_certificate`"),
    ] {
        std::fs::write(&files[1], key).unwrap();
        let refused = lab.create("PerformanceExporterPrometheus", &settings);
        let refusal = refused.err().unwrap();
        let start = "Some(Pause) cannot use `tls_certificate` and `tls_key`: `";
        assert!(
            refusal.starts_with(start) && refusal.contains(reason),
            "{refusal}"
        );
    }
}

#[test]
fn a_port_in_use_is_retried_and_a_closed_one_is_free() {
    let (lab, port) = (Lab::new(), free_port());
    let mut page = lab.page(json!({}), port);
    export(&mut page, &sample::performance(10, 1));
    let before = get(&url(port), &[]).unwrap();
    let settings = json!({ "metric_server_port": port });
    let refusal = lab
        .create("PerformanceExporterPrometheus", &settings)
        .err()
        .unwrap();
    assert!(
        refusal.starts_with("Some(Retry) cannot listen on 127.0.0.1"),
        "{refusal}"
    );
    page.call("close");
    assert!(get(&url(port), &[]).is_err());
    let _again = lab.page(json!({}), port);
    assert_eq!(get(&url(port), &[]).unwrap(), before);
}

#[test]
fn clients_that_only_wait_keep_no_scrape_out() {
    let (lab, port) = (Lab::new(), free_port());
    let mut page = lab.page(json!({}), port);
    export(&mut page, &sample::performance(10, 1));
    let connect = || TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut idle: Vec<_> = (0..80).map(|_| connect()).collect();
    let scraped = get(&url(port), &[]).unwrap();
    assert_eq!(scraped.status, 200);
    // The oldest one was closed, and not by the time limit for the head of a request.
    let mut rest = Vec::new();
    idle[0].read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
}

#[test]
fn a_client_that_closes_its_side_gets_the_page() {
    let (lab, port) = (Lab::new(), free_port());
    let mut page = lab.page(json!({}), port);
    export(&mut page, &sample::performance(10, 1));
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
