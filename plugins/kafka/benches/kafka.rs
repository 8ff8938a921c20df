//! How fast a batch becomes messages, compared with Python's `json.dumps` on the
//! same batch, and how fast it is delivered to a broker, compared with librdkafka
//! alone on encoded payloads.
//!
//! The batch has 31,629 series with eight labels and 15 points each, like one
//! storage of Delfin's fake driver. The contenders take turns, so that a machine
//! that gets slower or faster does so for all of them.

#[path = "../tests/broker/mod.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
#[expect(
    clippy::unwrap_used,
    reason = "without a broker there is nothing to measure"
)]
mod broker;

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use delfin_plugin_api::{
    Batch, PerformanceBatch, decode_outcome,
    message::{MessageBatch, MessageFormat, MessageLimits, Payload},
    sample,
    testkit::Harness,
};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};
use serde_json::json;

use crate::broker::Broker;

const ROUNDS: usize = 24;

const LIMITS: MessageLimits = MessageLimits {
    bytes: 500_000,
    rows: usize::MAX,
};

/// Builds Delfin's own objects from the triples, and times a `json.dumps` for
/// every further line.
const PYTHON: &str = r#"
import collections, json, sys, time
Metric = collections.namedtuple('Metric', 'name labels values')
data = [Metric(name, labels, {int(ms): value for ms, value in values.items()})
        for name, labels, values in json.loads(sys.stdin.readline())]
for line in sys.stdin:
    start = time.perf_counter()
    json.dumps(data).encode('utf-8')
    print(time.perf_counter() - start, flush=True)
"#;

/// One of the compared ways, and how long it took each time.
struct Contender<'a> {
    name: String,
    run: Box<dyn FnMut() -> Duration + 'a>,
    took: Vec<Duration>,
}

fn main() {
    let batch = sample::performance(31_629, 15);
    let mut encoders = vec![python(&batch)];
    for format in [
        MessageFormat::Delfin,
        MessageFormat::Json,
        MessageFormat::Arrow,
    ] {
        encoders.push(encoder(&batch, format));
    }
    report("encode", &batch, encoders);
    let Some(broker) = Broker::start() else {
        return;
    };
    let library = library();
    let start = Instant::now();
    let harness = Harness::open(&library);
    let opened = start.elapsed();
    writeln!(
        std::io::stdout(),
        "inspecting and opening the library: {opened:.1?}"
    )
    .ok();
    for format in [MessageFormat::Delfin, MessageFormat::Arrow] {
        let name = format.name();
        let (ours, ready) = (format!("{name}-exporter"), format!("{name}-ready"));
        broker.create_topic(&ours, 1, &[]);
        broker.create_topic(&ready, 1, &[]);
        let contenders = vec![
            producer(&broker, &batch, format, ready),
            exporter(&harness, &broker, &batch, format, &ours),
        ];
        report(&format!("deliver {name}"), &batch, contenders);
    }
}

/// Runs the contenders in turn, and prints the median of each relative to the first.
fn report(what: &str, batch: &PerformanceBatch, mut contenders: Vec<Contender<'_>>) {
    let all = contenders.len();
    for round in 0..ROUNDS {
        for turn in 0..all {
            // Each contender comes first equally often: one may slow down the next.
            let contender = &mut contenders[(round + turn) % all];
            let took = (contender.run)();
            contender.took.push(took);
        }
    }
    let mut out = std::io::stdout().lock();
    let mut first = None;
    for mut contender in contenders {
        contender.took.sort();
        let median = contender.took[ROUNDS / 2].as_secs_f64();
        let points = batch.items() as f64 / median / 1e6;
        let times = *first.get_or_insert(median) / median;
        let (least, most) = (contender.took[0], contender.took[ROUNDS - 1]);
        let name = contender.name;
        let line = format!("{name:24} {points:8.2} M points/s {times:6.2} x");
        writeln!(out, "{what:16} {line}   {least:.1?} .. {most:.1?}").ok();
    }
}

fn encoder(batch: &PerformanceBatch, format: MessageFormat) -> Contender<'_> {
    let mut buffer = Vec::new();
    let run = move || {
        let start = Instant::now();
        let encoded = format.encode(&batch.all(), LIMITS, &mut buffer, |(_, payload)| {
            assert!(payload.is_ok());
            Ok::<_, ()>(())
        });
        assert!(encoded.is_ok());
        start.elapsed()
    };
    contender(format.name(), run)
}

fn python(batch: &PerformanceBatch) -> Contender<'_> {
    let mut whole = Vec::new();
    let limits = MessageLimits {
        bytes: usize::MAX,
        ..LIMITS
    };
    let take = |(_, payload): Payload<'_>| {
        whole.extend_from_slice(payload.unwrap_or_default());
        Ok::<_, ()>(())
    };
    let encoded = MessageFormat::Delfin.encode(&batch.all(), limits, &mut Vec::new(), take);
    assert!(encoded.is_ok());
    let mut python = Python::start();
    python.send(&whole);
    contender("python json.dumps", move || python.dumps())
}

/// librdkafka with the exporter's settings and encoded payloads.
fn producer<'a>(
    broker: &Broker,
    batch: &PerformanceBatch,
    format: MessageFormat,
    topic: String,
) -> Contender<'a> {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", broker.servers())
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("queue.buffering.max.kbytes", "65536")
        .set("batch.size", LIMITS.bytes.to_string());
    let producer: BaseProducer = client.create().unwrap_or_else(|error| panic!("{error}"));
    let mut payloads = Vec::new();
    let take = |(_, payload): Payload<'_>| {
        payloads.push(payload.unwrap_or_default().to_vec());
        Ok::<_, ()>(())
    };
    let encoded = format.encode(&batch.all(), LIMITS, &mut Vec::new(), take);
    assert!(encoded.is_ok());
    contender("librdkafka alone", move || {
        let start = Instant::now();
        for payload in &payloads {
            let record = BaseRecord::to(&topic).payload(payload).key("storage");
            assert!(producer.send(record).is_ok());
        }
        while producer.in_flight_count() > 0 {
            producer.poll(Duration::from_millis(1));
        }
        start.elapsed()
    })
}

/// The exporter in its built library.
fn exporter<'a>(
    harness: &Harness,
    broker: &Broker,
    batch: &'a PerformanceBatch,
    format: MessageFormat,
    topic: &str,
) -> Contender<'a> {
    let settings = json!({
        "bootstrap_servers": broker.servers(),
        "topic": topic,
        "message_format": format.name(),
    });
    let folder = harness.new_folder();
    let created = harness.create("PerformanceExporterKafka", &settings, &folder);
    let mut instance = created.unwrap_or_else(|outcome| panic!("{}", outcome.message));
    contender("exporter", move || {
        let start = Instant::now();
        let outcome = instance.export(batch.as_arrow());
        let took = start.elapsed();
        assert_eq!(decode_outcome(outcome), Ok(()));
        took
    })
}

/// Builds the library as `make install` does, in the profile of this program, which
/// is one folder below it.
fn library() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let folder = program.ancestors().nth(2).unwrap_or(&program);
    let profile = folder.file_name().unwrap_or_default();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["rustc", "--lib", "--crate-type", "cdylib", "--profile"])
        .arg(profile)
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .status();
    assert!(built.is_ok_and(|status| status.success()));
    folder.join("libdelfin_exporter_kafka.so")
}

fn contender<'a>(name: &str, run: impl FnMut() -> Duration + 'a) -> Contender<'a> {
    Contender {
        name: name.to_owned(),
        run: Box::new(run),
        took: Vec::new(),
    }
}

/// A Python process that holds the batch.
struct Python {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Python {
    fn start() -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", PYTHON]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let process = command.spawn();
        let mut process = process.unwrap_or_else(|error| panic!("cannot run python3: {error}"));
        let (Some(to), Some(from)) = (process.stdin.take(), process.stdout.take()) else {
            unreachable!("both are piped")
        };
        let from = BufReader::new(from);
        Self { process, to, from }
    }

    fn send(&mut self, line: &[u8]) {
        let sent = self
            .to
            .write_all(line)
            .and_then(|()| self.to.write_all(b"\n"));
        assert!(sent.is_ok());
    }

    fn dumps(&mut self) -> Duration {
        self.send(b"go");
        let mut seconds = String::new();
        let read = self.from.read_line(&mut seconds);
        assert!(read.is_ok());
        let seconds = seconds.trim().parse();
        Duration::from_secs_f64(seconds.unwrap_or_else(|_| panic!("python3 has ended")))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
