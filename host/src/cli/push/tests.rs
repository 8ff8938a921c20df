use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Bytes, HttpBody},
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
};
use clap::Parser;
use tokio::{net::TcpListener, runtime::Runtime};

use super::*;
use crate::cli::{Cli, CliCommand, Exit};

type Received = Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>;

/// A host that accepts bodies up to a limit and keeps them.
struct FakeHost {
    address: SocketAddr,
    received: Received,
    _runtime: Runtime,
}

type FakeState = (u64, &'static str, Received);

const RECEIPT: &str = "{\"batch_id\": \"0198\", \"items\": 48210, \"state\": \"durable\"}";
const TOO_MUCH: &str = "{\"error_code\": \"PayloadTooLarge\", \"error_msg\": \"too much\"}";

async fn accept(
    State((limit, receipt, received)): State<FakeState>,
    request: Request,
) -> (StatusCode, &'static str) {
    let (parts, body) = request.into_parts();
    if body.size_hint().lower() > limit {
        return (StatusCode::PAYLOAD_TOO_LARGE, TOO_MUCH);
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut received = received.lock().unwrap();
    received.push((parts.uri.to_string(), parts.headers, body));
    (StatusCode::ACCEPTED, receipt)
}

impl FakeHost {
    fn start(limit: u64) -> Self {
        Self::with_receipt(limit, RECEIPT)
    }

    fn with_receipt(limit: u64, receipt: &'static str) -> Self {
        let runtime = Runtime::new().unwrap();
        let received = Received::default();
        let router =
            Router::new()
                .fallback(accept)
                .with_state((limit, receipt, Arc::clone(&received)));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            received,
            _runtime: runtime,
        }
    }

    fn push(&self, file: &Path, more: &[&str]) -> (Result<(), Error>, String) {
        let url = format!("http://{}", self.address);
        let file = file.to_str().unwrap();
        let cli = ["delfin-host", "push", "performance", file, "--host", &url];
        let cli = Cli::try_parse_from(cli.iter().chain(more)).unwrap();
        assert!(matches!(cli.command, CliCommand::Push(_)));
        let mut data = Vec::new();
        let mut output = Output::new(&mut data, &cli.options);
        let result = cli.run(&mut output);
        (result, String::from_utf8(data).unwrap())
    }

    fn received(&self) -> (String, HeaderMap, Bytes) {
        self.received.lock().unwrap().pop().unwrap()
    }
}

fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn a_file_arrives_unchanged_and_the_receipt_is_printed() {
    let host = FakeHost::start(u64::MAX);
    let body = b"[1]".repeat(100_000);
    let (_folder, path) = file("a.json", &body);
    let (result, printed) = host.push(&path, &["--idempotency-key", "k1"]);
    result.unwrap();
    assert_eq!(printed, "0198: 48 210 items, durable\n");
    let (uri, headers, received) = host.received();
    assert_eq!(uri, "/v1/ingest/performance?ack=durable&strict=false");
    assert_eq!(received, body);
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["content-length"], "300000");
    assert_eq!(headers["idempotency-key"], "k1");
    assert!(!headers.contains_key("content-encoding"));
    assert!(!headers.contains_key("transfer-encoding"));
}

#[test]
fn a_compressed_file_stays_compressed() {
    let host = FakeHost::start(u64::MAX);
    let body = zstd::encode_all(&b"{}\n{}\n"[..], 1).unwrap();
    let (_folder, path) = file("a.jsonl.zst", &body);
    host.push(&path, &[]).0.unwrap();
    let (_, headers, received) = host.received();
    assert_eq!(received, body);
    assert_eq!(headers["content-type"], "application/x-ndjson");
    assert_eq!(headers["content-encoding"], "zstd");
}

#[test]
fn json_is_the_receipt_of_the_host_unchanged() {
    let host = FakeHost::start(u64::MAX);
    let (_folder, path) = file("a.json", b"[]");
    let (result, printed) = host.push(&path, &["--json"]);
    result.unwrap();
    assert_eq!(printed, format!("{RECEIPT}\n"));
}

#[test]
fn the_options_reach_the_host() {
    let host = FakeHost::start(u64::MAX);
    let (_folder, path) = file("a.json", b"[]");
    let more = ["--wait", "1500ms", "--strict"];
    let error = host.push(&path, &more).0.unwrap_err();
    let (uri, headers, _) = host.received();
    assert_eq!(uri, "/v1/ingest/performance?ack=delivered&strict=true");
    assert_eq!(headers["prefer"], "wait=2");
    assert_eq!(error.exit(), Exit::Failed);
    assert!(
        error.to_string().contains("do not push it again"),
        "{error}"
    );
}

#[test]
fn rejected_items_fail_the_push_after_the_receipt_is_printed() {
    const PARTIAL: &str = r#"{"batch_id": "0198", "items": 3, "state": "durable", "rejected_items": 2,
        "rejected": [{"index": 1, "error": "is empty"}, {"index": 4, "line": 9, "error": "no"}]}"#;
    let host = FakeHost::with_receipt(u64::MAX, PARTIAL);
    let (_folder, path) = file("a.json", b"[]");
    for (more, wanted) in [
        (&[][..], "0198: 3 items, durable\n".to_owned()),
        (&["--json"][..], format!("{PARTIAL}\n")),
    ] {
        let (result, printed) = host.push(&path, more);
        assert_eq!(printed, wanted);
        let error = result.unwrap_err();
        assert_eq!(error.exit(), Exit::Failed);
        assert_eq!(
            error.to_string(),
            "2 items were rejected, all others were accepted (correct the rejected items and push only them)"
        );
    }
}

#[test]
fn the_host_can_refuse_a_body_that_is_too_large_before_it_is_sent() {
    let host = FakeHost::start(1000);
    let (_folder, path) = file("a.json", &vec![b' '; 20_000_000]);
    let error = host.push(&path, &[]).0.unwrap_err();
    assert_eq!(error.exit(), Exit::Failed);
    assert_eq!(error.to_string(), "too much");
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_nothing_is_sent() {
    let host = FakeHost::start(u64::MAX);
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("absent.json"), folder.path().to_owned()] {
        let error = host.push(&path, &[]).0.unwrap_err();
        assert_eq!(error.exit(), Exit::Failed);
        assert_eq!(
            error.to_string(),
            format!("cannot read `{}`", path.display())
        );
    }
    assert!(host.received.lock().unwrap().is_empty());
}

#[test]
fn an_arrow_file_is_refused_with_the_remedy() {
    let host = FakeHost::start(u64::MAX);
    let (_folder, path) = file("a.arrow", b"ARROW1\0\0");
    let error = host.push(&path, &[]).0.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("(write it with a stream writer)"),
        "{error}"
    );
}
