use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, TcpStream},
};

use delfin_plugin_api::{Batch, Kind, Origin, PerformanceBatchBuilder};
use serde_json::json;

use super::host::{EXPORTER, Host, TWO_POINTS, last};
use crate::{
    api::tests::host::Answer,
    batch_journal::BatchJournal,
    config::{ApiConfig, JournalConfig},
    ingest::MemoryUse,
    memory::MemoryPart,
};

const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn arrow_stream() -> Vec<u8> {
    let mut batch = PerformanceBatchBuilder::new();
    batch
        .series(
            "iops",
            [("storage_id", "s1")],
            [(1_700_000_001_000, 1.5), (1_700_000_002_000, 2.5)],
        )
        .unwrap();
    let batch = batch.build();
    let mut writer =
        arrow_ipc::writer::StreamWriter::try_new(Vec::new(), &batch.as_arrow().schema()).unwrap();
    writer.write(batch.as_arrow()).unwrap();
    writer.into_inner().unwrap()
}

fn check_two_points(host: &Host, answer: &Answer) {
    let batch_id = answer.batch_id();
    assert_eq!(
        answer.json(),
        json!({"batch_id": batch_id, "items": 2, "state": "durable"})
    );
    assert_eq!(
        answer.header("location"),
        Some(&*format!("/v1/batches/{batch_id}"))
    );
    assert_eq!(answer.header("idempotency-replayed"), None);
    answer.has_request_id();
    assert_eq!(last(host).batch_id.to_string(), batch_id);
}

#[test]
fn a_batch_that_was_answered_202_is_in_the_journal() {
    let host = Host::start();
    let answer = host.post("/v1/ingest/performance", TWO_POINTS);
    check_two_points(&host, &answer);
    let journal = host.journals.of(Kind::Performance);
    let record = journal.read(last(&host).seq).unwrap().unwrap();
    assert_eq!(
        (record.header.origin, record.header.items, record.rows),
        (Origin::Ingest, 2, 1)
    );
    assert_eq!(record.header.storage_id.as_deref(), Some("s1"));
    assert!(!record.header.complete);
    assert_eq!(record.payload.decode().unwrap().num_rows(), 1);
}

#[test]
fn alerts_go_into_the_alert_journal() {
    let host = Host::start();
    let alerts = r#"[{"storage_id":"s1","alert_id":"1","alert_name":"n","severity":"Major","category":"Fault","occur_time":1000},
                     {"storage_id":"s2","alert_id":"2","alert_name":"n","severity":"Major","category":"Fault","occur_time":1000}]"#;
    let answer = host.post("/v1/ingest/alerts", alerts);
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.json()["items"], 2);
    let journal = host.journals.of(Kind::Alert);
    let record = journal.read(*journal.head().borrow()).unwrap().unwrap();
    assert_eq!(record.header.batch_id.to_string(), answer.batch_id());
    assert_eq!(record.header.storage_id, None);
}

#[test]
fn an_alert_waits_for_no_performance_batch() {
    let host = Host::start();
    let performance = host.ingest.permits.of(Kind::Performance);
    let parsing: Vec<_> = (0..std::thread::available_parallelism().unwrap().get())
        .map(|_| host.runtime.block_on(performance.queues.enter(SENDER, 1)))
        .collect();
    let alert = r#"[{"storage_id":"s1","alert_id":"1"}]"#;
    assert_eq!(host.post("/v1/ingest/alerts", alert).status, 202);
    drop(parsing);

    let all_of = |sender: IpAddr| -> Vec<_> {
        std::iter::from_fn(|| performance.begin_request(sender).ok()).collect()
    };
    // One address leaves room for others.
    let requests = all_of([192, 0, 2, 8].into());
    assert_eq!(host.post("/v1/ingest/performance", TWO_POINTS).status, 202);
    let others = all_of([192, 0, 2, 7].into());
    assert_eq!((requests.len(), others.len()), (240, 80));
    assert_eq!(host.post("/v1/ingest/alerts", alert).status, 202);
    let refused = host.post("/v1/ingest/performance", TWO_POINTS);
    refused.is_error(
        503,
        "ServiceUnavailable",
        "Service unavailable: too many batches are being accepted, please try again later.",
    );
    drop(requests);
    assert_eq!(host.post("/v1/ingest/performance", TWO_POINTS).status, 202);
}

#[test]
fn a_body_without_memory_is_503_and_small_ones_and_alerts_are_accepted() {
    let host = Host::start();
    let (memory, requests) = (&host.memory, &host.ingest.memory);
    let large = format!("{}{TWO_POINTS}", " ".repeat(3 << 20));
    // One of them goes beyond the memory of requests.
    let mut others = [3, 100].map(|mib| {
        let mut claim = requests.claim(MemoryUse::Performance);
        claim.resize(mib << 20).unwrap();
        claim
    });
    let refused = host.post("/v1/ingest/performance", &large);
    refused.is_error(
        503,
        "ServiceUnavailable",
        "Service unavailable: other requests use the memory that `memory.max` allows \
         (send fewer or smaller batches at a time, or raise it), please try again later.",
    );
    assert_eq!(refused.header("retry-after"), Some("5"));
    let alert = r#"[{"storage_id":"s1","alert_id":"1"}]"#;
    assert_eq!(host.post("/v1/ingest/alerts", alert).status, 202);
    assert_eq!(host.post("/v1/ingest/performance", TWO_POINTS).status, 202);
    let metrics = host.get("/metrics").body;
    let used = "\ndelfin_host_memory_used_bytes{part=\"requests\"} 108003328\n";
    assert!(metrics.contains(used), "{metrics}");
    assert!(metrics.contains("\ndelfin_host_memory_max_bytes 16777216\n"));
    others[1].resize(0).unwrap();
    assert_eq!(host.post("/v1/ingest/performance", &large).status, 202);
    drop(others);
    assert_eq!(memory.used(MemoryPart::Requests), 0);
}

#[test]
fn a_body_larger_than_all_memory_is_accepted_one_at_a_time() {
    let host = Host::start();
    let larger = format!("{}{TWO_POINTS}", " ".repeat(20 << 20));
    assert!(larger.len() as u64 > host.memory.limit());
    assert_eq!(host.post("/v1/ingest/performance", &larger).status, 202);
    let mut other = host.ingest.memory.claim(MemoryUse::Performance);
    other.resize(40 << 20).unwrap();
    assert_eq!(host.post("/v1/ingest/performance", &larger).status, 503);
    assert_eq!(host.post("/v1/ingest/performance", TWO_POINTS).status, 202);
    drop(other);
    assert_eq!(host.post("/v1/ingest/performance", &larger).status, 202);
    assert_eq!(host.memory.used(MemoryPart::Requests), 0);
}

#[test]
fn a_body_that_needs_more_memory_than_one_request_may_is_413() {
    let config = ApiConfig {
        max_body_bytes: 1 << 20,
        max_decompressed_bytes: 4 << 20,
        ..ApiConfig::default()
    };
    let host = Host::with(config, JournalConfig::default());
    let headers = [
        ("Content-Type", "application/json"),
        ("Content-Encoding", "gzip"),
    ];
    let alerts = vec![r#"{"alert_id":1}"#; 200_000].join(",");
    let bomb = gzip(format!("[{alerts}]").as_bytes());
    let answer = host.send("POST", "/v1/ingest/alerts", &headers, &bomb);
    answer.is_error(
        413,
        "RequestBodyTooLarge",
        "Request body too large: the body needs more than 16777216 bytes of memory \
         (send smaller batches, or raise `api.max_decompressed_bytes`).",
    );
    assert_eq!(host.memory.used(MemoryPart::Requests), 0);
}

#[test]
fn every_format_and_encoding_is_read() {
    let host = Host::start();
    let line = TWO_POINTS.trim_matches(['[', ']']).as_bytes();
    let array = TWO_POINTS.as_bytes();
    let stream = "application/vnd.apache.arrow.stream";
    for (content_type, encoding, body) in [
        (
            "application/json; charset=utf-8",
            "identity",
            array.to_vec(),
        ),
        ("application/x-ndjson", "identity", line.to_vec()),
        ("application/json", "gzip", gzip(array)),
        (
            "application/json",
            "zstd",
            zstd::encode_all(array, 1).unwrap(),
        ),
        (stream, "identity", arrow_stream()),
        (
            stream,
            "zstd",
            zstd::encode_all(&*arrow_stream(), 1).unwrap(),
        ),
    ] {
        let headers = [
            ("Content-Type", content_type),
            ("Content-Encoding", encoding),
        ];
        let answer = host.send("POST", "/v1/ingest/performance", &headers, &body);
        check_two_points(&host, &answer);
    }
}

#[test]
fn a_batch_without_items_is_kept_like_any_other() {
    let host = Host::start();
    let answer = host.post("/v1/ingest/performance", "[]");
    let batch_id = answer.batch_id();
    assert_eq!(answer.json()["items"], 0);
    assert_eq!(host.get(&format!("/v1/batches/{batch_id}")).status, 200);
}

#[test]
fn a_repeated_key_gets_the_first_receipt() {
    let host = Host::start();
    let send = |key, body: &str| {
        let headers = [
            ("Content-Type", "application/json"),
            ("Idempotency-Key", key),
        ];
        host.send("POST", "/v1/ingest/performance", &headers, body.as_bytes())
    };
    let first = send("key-1", TWO_POINTS);
    let repeat = send("key-1", TWO_POINTS);
    let other = send("key-2", TWO_POINTS);
    assert_eq!(repeat.status, 202);
    assert_eq!(repeat.json(), first.json());
    assert_eq!(repeat.header("location"), first.header("location"));
    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!(repeat.header("idempotency-replayed"), Some("true"));
    assert_ne!(other.batch_id(), first.batch_id());
    assert_eq!(host.journals.performance.stats().unwrap().records, 2);
}

#[test]
fn a_batch_of_another_host_keeps_its_origin_and_counts_as_sent_by_a_client() {
    let host = Host::start();
    let alert =
        json!([{ "storage_id": "s", "alert_id": "a", "category": "Fault", "severity": "Major" }]);
    let send = |origin: &str| {
        let headers = [
            ("Content-Type", "application/json"),
            ("Batch-Origin", origin),
        ];
        let path = "/v1/ingest/alerts?complete_for=s";
        let answer = host.send("POST", path, &headers, alert.to_string().as_bytes());
        assert_eq!(answer.status, 202, "{}", answer.body);
        let seq = *host.journals.alerts.head().borrow();
        host.journals.alerts.read(seq).unwrap().unwrap().header
    };
    let header = send("sync");
    assert_eq!((header.origin, header.complete), (Origin::Sync, true));
    assert!(BatchJournal::is_forwarded(header.batch_id));
    // Of a newer host.
    assert_eq!(send("dream").origin, Origin::Other);
}

#[test]
fn an_invalid_key_is_refused() {
    let host = Host::start();
    let headers = [
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "a b"),
    ];
    let answer = host.send(
        "POST",
        "/v1/ingest/performance",
        &headers,
        TWO_POINTS.as_bytes(),
    );
    answer.is_error(
        400,
        "InvalidInput",
        "Invalid input received. `Idempotency-Key` must be 1 to 255 visible ASCII characters",
    );
}

#[test]
fn a_body_larger_than_the_limit_is_413() {
    let limit = TWO_POINTS.len() as u64 - 1;
    let config = ApiConfig {
        max_body_bytes: limit,
        ..ApiConfig::default()
    };
    let host = Host::with(config, JournalConfig::default());
    let message = format!(
        "Request body too large: it has more than {limit} bytes \
         (send smaller batches, or raise `api.max_body_bytes`)."
    );
    let answer = host.post("/v1/ingest/performance", TWO_POINTS);
    answer.is_error(413, "RequestBodyTooLarge", &message);
    let large = host.post("/v1/ingest/performance", &" ".repeat(8 << 20));
    large.is_error(413, "RequestBodyTooLarge", &message);
    assert_eq!(host.journals.performance.stats().unwrap().records, 0);
}

#[test]
fn a_body_that_expands_beyond_the_limit_is_413() {
    let config = ApiConfig {
        max_decompressed_bytes: 100_000,
        ..ApiConfig::default()
    };
    let host = Host::with(config, JournalConfig::default());
    let headers = [
        ("Content-Type", "application/json"),
        ("Content-Encoding", "gzip"),
    ];
    let bomb = gzip(&vec![b' '; 10_000_000]);
    let answer = host.send("POST", "/v1/ingest/performance", &headers, &bomb);
    answer.is_error(
        413,
        "RequestBodyTooLarge",
        "Request body too large: the body holds more than 100000 bytes \
         (send smaller batches, or raise `api.max_decompressed_bytes`).",
    );
}

#[test]
fn a_body_that_is_not_a_batch_is_400_and_the_item_is_named() {
    let host = Host::start();
    let check = |body: &str, code: &str, part: &str| {
        let answer = host.post("/v1/ingest/performance", body);
        let json = answer.json();
        assert_eq!(
            (answer.status, json["error_code"].as_str()),
            (400, Some(code)),
            "{json}"
        );
        let message = json["error_msg"].as_str().unwrap();
        assert!(message.contains(part), "{message}");
        answer.has_request_id();
    };
    check("", "MalformedRequestBody", "the body is empty");
    check("[{", "MalformedRequestBody", "item 0");
    check(r#"[["",{},{}],7]"#, "InvalidInput", "item 0");
    assert_eq!(host.journals.performance.stats().unwrap().records, 0);
}

#[test]
fn the_answer_to_a_refused_batch_does_not_repeat_it() {
    let host = Host::start();
    let body = r#"[{"name":"a","labels":{"password":"hunter2"},"values":{"now":1}}]"#;
    let answer = host.post("/v1/ingest/performance", body);
    assert_eq!(answer.status, 400);
    assert!(!answer.body.contains("hunter2"), "{}", answer.body);
}

#[test]
fn an_unsupported_content_type_or_encoding_is_415() {
    let host = Host::start();
    let check = |headers: &[(&str, &str)], code: &str, message: &str| {
        let answer = host.send("POST", "/v1/ingest/alerts", headers, b"[]");
        answer.is_error(415, code, message);
    };
    check(
        &[("Content-Type", "text/xml")],
        "InvalidContentType",
        "Invalid content type: content type `text/xml` is not accepted (send `application/json`, \
         `application/x-ndjson` or `application/vnd.apache.arrow.stream`).",
    );
    check(
        &[
            ("Content-Type", "application/json"),
            ("Content-Encoding", "br"),
        ],
        "InvalidContentEncoding",
        "Invalid content encoding: content encoding `br` is not accepted \
         (send `gzip`, `zstd` or `identity`).",
    );
}

#[test]
fn a_client_that_expects_continue_is_refused_before_it_sends_a_large_body() {
    let host = Host::start();
    let mut stream = TcpStream::connect(host.address()).unwrap();
    let head = "POST /v1/ingest/alerts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Expect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[test]
fn a_journal_that_is_full_for_a_required_exporter_is_429() {
    let journal = JournalConfig {
        max_bytes: 1000,
        ..JournalConfig::default()
    };
    let host = Host::with(ApiConfig::default(), journal);
    let mut answers = std::iter::repeat_with(|| host.post("/v1/ingest/performance", TWO_POINTS));
    let full = answers.find(|answer| answer.status != 202).unwrap();
    let json = full.json();
    assert_eq!(full.status, 429, "{json}");
    assert_eq!(full.header("retry-after"), Some("5"));
    let message = json["error_msg"].as_str().unwrap();
    assert!(message.contains(EXPORTER), "{message}");
}

#[test]
fn a_closed_journal_is_503_with_retry_after() {
    let host = Host::start();
    host.journals.performance.close();
    let answer = host.post("/v1/ingest/performance", TWO_POINTS);
    answer.is_error(
        503,
        "ServiceUnavailable",
        "Service unavailable: the host is stopping, please try again later.",
    );
    assert_eq!(answer.header("retry-after"), Some("5"));
}

#[test]
fn what_is_unusual_is_in_the_receipt_and_in_the_metrics() {
    let host = Host::start();
    let body = r#"[["a", {"l": null}, {"1600000000": 1}], ["b", {}, {"1600000000000": NaN}],
        ["c", {}, {"1600000000000": "2.5"}]]"#;
    let answer = host.post("/v1/ingest/performance", body);
    assert_eq!(answer.status, 202, "{}", answer.body);
    let receipt = answer.json();
    assert_eq!(receipt["items"], 2);
    assert_eq!(
        receipt["rejected"],
        json!([{"index": 1, "name": "b", "error": "values: `NaN` is not a finite number"}])
    );
    assert_eq!(
        receipt["notes"],
        json!(["1 item: the time was in seconds and was converted (send milliseconds)"])
    );
    let body = r#"[{"alert_id": "1", "category": "Recovery", "occur_time": ""},
        {"alert_id": "2", "occur_time": 5}]"#;
    let receipt = host.post("/v1/ingest/alerts", body).json();
    assert_eq!(
        receipt["notes"].as_array().map(Vec::len),
        Some(2),
        "{receipt}"
    );
    let metrics = host.get("/metrics").body;
    for line in [
        r#"delfin_host_ingest_noted_items_total{kind="performance",note="seconds"} 1"#,
        r#"delfin_host_ingest_noted_items_total{kind="alert",note="empty_time"} 1"#,
        r#"delfin_host_ingest_noted_items_total{kind="alert",note="far_past"} 1"#,
        r#"delfin_host_ingest_noted_items_total{kind="alert",note="far_future"} 0"#,
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\n{metrics}"
        );
    }
}

#[test]
fn webhooks_are_refused_unless_they_are_enabled() {
    let host = Host::start();
    let answer = host.post("/v1/ingest/webhooks/s1", "{}");
    assert_eq!(answer.status, 403);
    let body = answer.json();
    assert_eq!(body["error_code"], "InputDisabled", "{body}");
    assert!(
        body["error_msg"].to_string().contains("[inputs.webhook]"),
        "{body}"
    );
}
