//! Pages over HTTP: headers, gzip, limits and failures.

use std::{
    io::{self, Write},
    sync::Arc,
};

use delfin_plugin_api::{
    driver::RegisteredStorage,
    testkit::{TestReceiver, TestRequest, TestResponse},
};
use delfin_tests::{Authority, IssuedFiles};
use flate2::{Compression, write::GzEncoder};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use serde_json::{Value, json};

use super::*;

const TIME: Duration = Duration::from_secs(60);

fn client(url: &str, further: Value) -> PageClient {
    let mut options = json!({"url": url, "mapping": "x", "max_body_bytes": "4KiB"});
    let (options, further) = (options.as_object_mut().unwrap(), further);
    options.extend(further.as_object().cloned().unwrap_or_default());
    let storage = RegisteredStorage {
        id: "id".to_owned(),
        vendor: "prometheus".to_owned(),
        model: "scrape".to_owned(),
        options: options.clone(),
        interval: None,
    };
    let config = ScrapeConfig::read(&storage).unwrap_or_else(|error| panic!("{error}"));
    PageClient::new(&config).unwrap()
}

fn fetch(
    respond: impl Fn(&TestRequest) -> TestResponse + Send + Sync + 'static,
    further: Value,
) -> Result<FetchedPage, Failure> {
    let exporter = TestReceiver::start(respond);
    client(&exporter.url("/metrics"), further).fetch(TIME)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_page_is_asked_for_as_prometheus_does_and_decompressed() {
    let page = fetch(
        |request| {
            assert!(
                request
                    .header("accept")
                    .starts_with("application/openmetrics-text")
            );
            assert!(request.header("accept-encoding").contains("gzip"));
            assert_eq!(request.header("x-prometheus-scrape-timeout-seconds"), "60");
            assert_eq!(request.header("authorization"), "Bearer hunter2");
            TestResponse::new(200)
                .header(
                    "content-type",
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                )
                .header("content-encoding", "gzip")
                .body(gzip("up 1\n# EOF\n"))
        },
        json!({"bearer_token": "hunter2"}),
    );
    let page = page.unwrap();
    assert_eq!(
        (page.text(), page.format),
        (Ok("up 1\n# EOF\n"), ScrapeFormat::OpenMetrics)
    );
    let page = fetch(
        |request| {
            assert_eq!(request.header("authorization"), "Basic dTpodW50ZXIy");
            TestResponse::new(200).body("up 1\n")
        },
        json!({"username": "u", "password": "hunter2"}),
    );
    assert_eq!(page.unwrap().format, ScrapeFormat::Text);
}

#[test]
fn a_page_that_does_not_come_in_time_is_a_failure() {
    let exporter = TestReceiver::start(|_| TestResponse::stalled());
    let client = client(&exporter.url("/metrics"), json!({}));
    let failure = client.fetch(Duration::from_millis(200)).err().unwrap();
    assert!(
        failure
            .to_string()
            .contains("the page did not come in 0.2 s"),
        "{failure}"
    );
}

#[test]
fn a_page_that_cannot_be_used_is_a_failure_with_its_reason() {
    let failed = |response: TestResponse| {
        let response = std::sync::Mutex::new(Some(response));
        let respond = move |_: &TestRequest| {
            let response = response.lock().unwrap().take();
            response.unwrap_or_else(|| TestResponse::new(500))
        };
        match fetch(respond, json!({})) {
            Ok(_) => panic!("the page is used"),
            Err(failure) => failure,
        }
    };
    let long = "x".repeat(4097);
    for (response, reason) in [
        (
            TestResponse::new(200).body(long.clone()),
            "more than 4KiB (raise `max_body_bytes`)",
        ),
        (
            TestResponse::new(200)
                .header("content-encoding", "gzip")
                .body(gzip(&long)),
            "more than 4KiB",
        ),
        (TestResponse::new(200).body("up 1").cut_off(), "ends early"),
        (
            TestResponse::new(200).body("<!DOCTYPE html><p>"),
            "a web page",
        ),
        (
            TestResponse::new(503),
            "answers 503 (see the log of the exporter)",
        ),
        (TestResponse::closed(), "localhost"),
    ] {
        let failure = failed(response);
        assert!(matches!(failure, Failure::Retry { .. }), "{failure:?}");
        assert!(failure.to_string().contains(reason), "{failure}");
    }
    for (response, reason) in [
        (
            TestResponse::new(404).body("no such page"),
            "answers 404: no such page (check the path and the query of `url`)",
        ),
        (TestResponse::new(302), "set `url` to its target"),
    ] {
        let failure = failed(response);
        assert!(matches!(failure, Failure::Rejected { .. }), "{failure:?}");
        assert!(failure.to_string().contains(reason), "{failure}");
    }
    let failure = failed(TestResponse::new(401));
    assert!(
        matches!(failure, Failure::Unauthorized { .. }),
        "{failure:?}"
    );
    let page = fetch(|_| TestResponse::new(200).body(vec![b'u', 0xff]), json!({})).unwrap();
    assert_eq!(
        page.text(),
        Err("the page is not UTF-8 at byte 1".to_owned())
    );
}

/// An exporter with a certificate for `localhost`. With `clients`, it wants a certificate of this authority.
fn tls_exporter(files: &IssuedFiles, clients: Option<&Authority>) -> TestReceiver {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            let certificate = CertificateDer::from_pem_file(&authority.certificate).unwrap();
            roots.add(certificate).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let certificate = CertificateDer::from_pem_file(&files.certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let config = Arc::new(builder.with_single_cert(vec![certificate], key).unwrap());
    TestReceiver::start_tls(
        move |stream| {
            let connection =
                ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
            Ok(StreamOwned::new(connection, stream))
        },
        |_| TestResponse::new(200).body("up 1\n"),
    )
}

#[test]
fn the_certificate_of_an_exporter_is_verified_and_one_of_the_host_is_shown() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [authority, other] = folders
        .each_ref()
        .map(|folder| Authority::new(folder.path()));
    let own = authority.issue("localhost");
    let ask = |exporter: &TestReceiver, further: Value| {
        let page = client(&exporter.url("/metrics"), further).fetch(TIME);
        page.map(|page| page.text().unwrap().to_owned())
            .map_err(|failure| failure.to_string())
    };
    let exporter = tls_exporter(&own, None);
    let trusting = json!({"ca_certificate": authority.certificate});
    assert_eq!(ask(&exporter, trusting.clone()).unwrap(), "up 1\n");
    for further in [json!({}), json!({"ca_certificate": other.certificate})] {
        let error = ask(&exporter, further).unwrap_err();
        assert!(error.contains("authority as `ca_certificate`)"), "{error}");
    }
    let exporter = tls_exporter(&own, Some(&authority));
    let error = ask(&exporter, trusting).unwrap_err();
    assert!(error.contains("certificate"), "{error}");
    let showing = json!({
        "ca_certificate": authority.certificate,
        "client_certificate": own.certificate,
        "client_key": own.key,
    });
    assert_eq!(ask(&exporter, showing).unwrap(), "up 1\n");
}
