//! What clients of the API can cost the host.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicU64, Ordering},
};

use arrow_ipc::writer::StreamWriter;
use delfin_plugin_api::{Batch, PerformanceBatchBuilder};
use delfin_tests::{Host, Setup, soak};
use serde_json::{Value, json};

const CONFIG: &str = r#"
plugin_dirs = []
state_dir = "@/state"
[api]
listen = "127.0.0.1:0"
[journal]
min_free_bytes = 0
[memory]
max = "64MiB"
"#;

/// Sends requests of one alert each.
fn send_alerts(host: &Host, requests: u32) {
    let body = json!([{"storage_id": "s1", "alert_id": "1", "description": "x".repeat(100)}]);
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                for _ in 0..requests / 32 {
                    assert_eq!(host.ingest("alerts", &body).0, 202);
                }
            });
        }
    });
}

fn metric(host: &Host, name: &str) -> f64 {
    let metrics = host.metrics();
    let mut samples = metrics.samples().iter();
    let sample = samples.find(|sample| sample.name == format!("delfin_host_{name}"));
    sample.map_or(f64::NAN, |sample| sample.value)
}

/// The memory that a part uses; of all parts if it is empty.
fn memory_used(host: &Host, part: &str) -> f64 {
    let metrics = host.metrics();
    let samples = metrics.samples().iter();
    let used = samples.filter(|sample| {
        sample.name == "delfin_host_memory_used_bytes" && sample.labels.contains(part)
    });
    used.map(|sample| sample.value).sum()
}

fn resident_bytes(host: &Host) -> f64 {
    metric(host, "process_resident_memory_bytes")
}

#[test]
fn the_memory_of_a_host_that_gets_small_batches_does_not_grow() {
    let setup = Setup::new(&[], "").with_whole_config(CONFIG);
    let host = setup.start();
    // Twice: about ten minutes in `make soak`.
    let requests = soak(soak(640));
    send_alerts(&host, 160);
    let before = resident_bytes(&host);
    send_alerts(&host, requests);
    let grown = resident_bytes(&host) - before;
    assert!(grown < f64::from(16 << 20), "grew by {grown} bytes");
    drop(host);
}

#[test]
fn clients_that_only_wait_keep_no_other_client_out() {
    let setup = Setup::new(&[], "").with_whole_config(CONFIG);
    let host = setup.start();
    let address = host.url().trim_start_matches("http://");
    let open = |request: &str| {
        let mut stream = TcpStream::connect(address).expect("the host listens");
        let sent = stream.write_all(request.as_bytes());
        sent.map(|()| stream).expect("the host reads")
    };
    let slow_body = "POST /v1/ingest/performance HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n[";
    let requests = ["", slow_body, "GET /healthz HTTP"];
    let waiting: Vec<_> = requests
        .iter()
        .cycle()
        .take(600)
        .map(|request| open(request))
        .collect();
    assert_eq!(host.get("/healthz").0, 200);
    let evicted = metric(&host, "api_evicted_connections_total");
    assert!(evicted >= 88.0, "evicted {evicted}");
    let open = metric(&host, "api_open_connections");
    assert!(open <= 512.0, "open {open}");
    drop(waiting);
    let (_, log) = host.stop();
    let lines = log.matches("all connections of the API are in use").count();
    assert_eq!(lines, 1, "{log}");
}

#[test]
fn bodies_on_their_way_stay_within_the_memory_of_requests() {
    const MIB: usize = 1 << 20;
    let config = CONFIG.replace(
        "[journal]",
        "max_body_bytes = \"8MiB\"\nmax_decompressed_bytes = \"8MiB\"\n[journal]",
    );
    let setup = Setup::new(&[], "").with_whole_config(&config);
    let host = setup.start();
    let address = host.url().trim_start_matches("http://");
    let head = "POST /v1/ingest/performance HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 7000000\r\n\r\n";
    let before = resident_bytes(&host);
    let part = vec![b' '; 4 * MIB];
    let send = || {
        let mut stream = TcpStream::connect(address).expect("the host listens");
        stream.write_all(head.as_bytes()).expect("the host reads");
        // A body that is refused is read on, and may be cut off later.
        let _ = stream.write_all(&part);
        stream
    };
    // Those that wait for memory are not read meanwhile.
    let streams: Vec<TcpStream> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..40).map(|_| scope.spawn(send)).collect();
        all.into_iter()
            .map(|sent| sent.join().expect("a stream"))
            .collect()
    });
    // 16 MiB are for large bodies on their way: room for four of these, and one goes beyond it.
    host.wait_for("35 refusals", || {
        let metrics = host.metrics();
        let mut samples = metrics.samples().iter();
        let labels = r#"kind="performance",code="503""#;
        let refused = samples.find(|sample| sample.labels == labels);
        refused.filter(|sample| sample.value >= 35.0).map(drop)
    });
    let alert = json!([{"storage_id": "s1", "alert_id": "1"}]);
    assert_eq!(host.ingest("alerts", &alert).0, 202);
    let used = memory_used(&host, "requests");
    assert!(used > 4e6 && used <= f64::from(24 << 20), "{used} bytes");
    let grown = resident_bytes(&host) - before;
    assert!(grown < f64::from(64 << 20), "grew by {grown} bytes");
    drop(streams);
    host.wait_for("the memory to be free", || {
        (memory_used(&host, "requests") == 0.0).then_some(())
    });
}

const HANGING: &str = r#"
performance_exporters = ["PerformanceExporterFile", "PerformanceExporterScripted"]
[memory]
max = "8MiB"
[exporter.PerformanceExporterFile.config]
path = "@/out.jsonl"
[exporter.PerformanceExporterScripted]
timeout = "500ms"
[exporter.PerformanceExporterScripted.retry]
initial_interval = "20ms"
max_interval = "100ms"
[exporter.PerformanceExporterScripted.config]
script = "@/script"
received = "@/received"
"#;

/// Series with a label of so many bytes.
fn series(count: usize, bytes: usize) -> Value {
    let labels = (0..count).map(|number| format!("{number:0bytes$}"));
    labels
        .map(|label| json!({"name": "a", "labels": {"storage_id": "s1", "l": label}, "values": {"1": 1}}))
        .collect()
}

#[test]
fn a_backlog_and_many_requests_stay_within_the_memory() {
    const SCRIPTED: &str = "PerformanceExporterScripted";
    let setup = Setup::new(&["file", "scripted"], HANGING);
    setup.write("script", "hang");
    let host = setup.start();
    let (body, requests) = (series(8, 32 << 10), 80_u64);
    let sending = AtomicU64::new(0);
    let most = std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while sending.fetch_add(1, Ordering::Relaxed) < requests {
                    // A request that has waited for long enough is sent again.
                    host.wait_for("the batch to be accepted", || {
                        let (status, answer) = host.ingest("performance", &body);
                        assert!(matches!(status, 202 | 503), "{status}: {answer}");
                        (status == 202).then_some(())
                    });
                }
            });
        }
        let mut most: f64 = 0.0;
        while sending.load(Ordering::Relaxed) < requests {
            most = most.max(memory_used(&host, ""));
        }
        most
    });
    // One request may go beyond the limit, and one batch of each exporter.
    let limit = metric(&host, "memory_max_bytes");
    assert!(
        most > limit / 4.0 && most < limit + f64::from(2 << 20),
        "{most} bytes"
    );
    // A batch that is larger than all memory.
    let (status, answer) = host.ingest("performance", &series(160, 60_000));
    assert_eq!(status, 202, "{answer}");
    host.wait_for_delivered("PerformanceExporterFile", 8 * requests + 160);
    assert_eq!(host.exporter(SCRIPTED)["delivered"], 0);
    setup.write("script", "deliver");
    host.wait_for_delivered(SCRIPTED, 8 * requests + 160);
    host.wait_for("the memory to be free", || {
        (memory_used(&host, "exporters") + memory_used(&host, "requests") == 0.0).then_some(())
    });
}

/// Sends a request and returns the first line of the response.
fn status_line(host: &Host, head: &str, body: &[u8]) -> String {
    let address = host.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("the host listens");
    let length = body.len();
    let head = format!("{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("the host reads");
    stream.write_all(body).expect("the host reads");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("a response");
    response.lines().next().unwrap_or_default().to_owned()
}

/// A stream in which the length of a buffer is no multiple of the size of its elements. The
/// Arrow library panics on it.
fn stream_with_a_bad_length() -> Vec<u8> {
    let mut batch = PerformanceBatchBuilder::new();
    for _ in 0..13 {
        let series = batch.series("load", [("l", "v")], [(1, 1.0)]);
        series.expect("a batch");
    }
    let batch = batch.build();
    let schema = batch.as_arrow().schema();
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).expect("a stream");
    writer.write(batch.as_arrow()).expect("a stream");
    let mut stream = writer.into_inner().expect("a stream");
    let length = (14_u64 * 4).to_le_bytes();
    let at = stream.windows(8).rposition(|bytes| bytes == length);
    stream[at.expect("the length of the offsets")] += 1;
    stream
}

#[test]
fn repeated_refusals_and_panics_are_few_records_and_each_is_json() {
    let config = format!("log = {{ level = \"debug\", format = \"json\" }}\n{CONFIG}");
    let setup = Setup::new(&[], "").with_whole_config(&config);
    let host = setup.start();
    for _ in 0..50 {
        let line = status_line(&host, "GET /healthz HTTP/1.1\r\nHost: evil.example", b"");
        assert_eq!(line, "HTTP/1.1 403 Forbidden");
    }
    let head = "POST /v1/ingest/performance HTTP/1.1\r\nHost: x\r\nContent-Type: application/vnd.apache.arrow.stream";
    let body = stream_with_a_bad_length();
    for _ in 0..3 {
        assert_eq!(status_line(&host, head, &body), "HTTP/1.1 400 Bad Request");
    }
    let (_, log) = host.stop();
    let records = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    let records: Vec<Value> = records.collect();
    let count = |wanted: &dyn Fn(&Value) -> bool| records.iter().filter(|it| wanted(it)).count();
    let is_refusal = |record: &Value| {
        let text = record["message"].as_str().unwrap_or_default();
        text.starts_with("request refused: ") && record["level"] == "warn"
    };
    assert_eq!(count(&is_refusal), 1, "{log}");
    let is_panic = |record: &Value| record["target"] == "panic" && record["level"] == "debug";
    assert_eq!(count(&is_panic), 1, "{log}");
    assert_eq!(count(&|record| record["level"] == "error"), 0, "{log}");
}
