//! The cost of a process for each exporter, next to a thread of the host in the same run, with
//! the budgets that it must keep.
//!
//! The benchmark uses the real host. For calls, the times are those that the host measures: of a
//! process, with the encoding and the way to it and back.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    env,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use delfin_tests::{Host, Receiver, Setup, binary, plugin};
use serde_json::{Value, json};

const SUM: &str = "PerformanceExporterSum";
const ATTEMPTS: &str = "delfin_host_exporter_attempts_total";
const SECONDS: &str = "delfin_host_exporter_export_seconds_total";

/// Series and points of each, how many calls, how many of a backlog, and the most that a call may
/// take longer.
const CALLS: [(usize, usize, usize, usize, Duration); 3] = [
    (1, 1, 300, 400, Duration::from_micros(60)),
    (1_000, 100, 40, 100, Duration::from_micros(150)),
    (10_000, 10, 40, 100, Duration::from_micros(150)),
];

const MODES: [&str; 2] = ["thread", "process"];

const BACKLOGS: usize = 9;

/// Longer than a call.
const CALL_TIME: Duration = Duration::from_millis(10);

/// How often a thread and a process are woken, and the argument that makes this program answer.
const WAKES: usize = 300;
const ECHO: &str = "echo";

const WEBHOOKS: usize = 4;
const WEBHOOK_BATCHES: usize = 300;
const WEBHOOK_ROUNDS: usize = 3;

#[expect(clippy::print_stdout, reason = "what was measured")]
fn main() {
    if env::args().nth(1).is_some_and(|argument| argument == ECHO) {
        return echo();
    }
    println!("a process for each exporter, against a thread of the host; medians");
    println!("calls directly after another:");
    for (series, points, _, backlog, budget) in CALLS {
        let [thread, process] = calls_in_a_row(series, points, backlog);
        println!(
            "a call with {:>6} points in {series:>5} series: thread {:>7.1} us, process {:>7.1} us, {}",
            series * points,
            micros(thread),
            micros(process),
            compared("extra us", micros(process) - micros(thread), micros(budget)),
        );
    }
    println!("calls that find the processors asleep and their caches empty:");
    for (series, points, times, _, _) in CALLS {
        let [thread, process] = calls(series, points, times);
        println!(
            "a call with {:>6} points in {series:>5} series: {}",
            series * points,
            both(thread, process),
        );
    }
    let [thread, process] = wakes();
    println!(
        "a byte to a thread or process that sleeps, and back: {}",
        both(thread, process),
    );
    let (encoded, memory) = eight_exporters();
    println!(
        "eight exporters on a batch: {}",
        compared("encodings", encoded, 1.0)
    );
    println!(
        "private memory of a process: {}",
        compared("MiB", memory, 6.0)
    );
    let start = start_up();
    println!(
        "start of a process with its plugin: {}",
        compared("ms", micros(start) / 1e3, 20.0)
    );
    let [thread, process] = webhooks();
    println!(
        "{WEBHOOKS} webhooks, {WEBHOOK_BATCHES} batches: thread {:.0} ms, process {:.0} ms, {:.2} of the rate (at least 0.9)",
        micros(thread) / 1e3,
        micros(process) / 1e3,
        thread.as_secs_f64() / process.as_secs_f64(),
    );
}

fn both(thread: Duration, process: Duration) -> String {
    let [thread, process] = [thread, process].map(micros);
    let extra = process - thread;
    format!("thread {thread:>7.1} us, process {process:>7.1} us, {extra:.1} extra us")
}

fn compared(unit: &str, found: f64, budget: f64) -> String {
    format!("{found:.1} {unit} (at most {budget:.1})")
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The median over backlogs of the mean times of their calls, in a thread and in a process.
fn calls_in_a_row(series: usize, points: usize, backlog: usize) -> [Duration; 2] {
    let body = batch(series, points);
    let limit = format!("[exporter.sum.batch]\nmax_points = {}\n", series * points);
    let hosts = MODES.map(|mode| {
        let setup = sum_exporter(mode, &limit);
        let host = setup.start();
        (setup, host)
    });
    let mut measured = [const { Vec::new() }; 2];
    for _ in 0..BACKLOGS {
        for (mode, (_, host)) in hosts.iter().enumerate() {
            let change = |action| {
                let path = format!("/v1/exporters/sum/{action}");
                let (status, answer) = host.send("POST", &path, Some(&json!({})));
                assert_eq!(status, 200, "{answer}");
            };
            let before = host.metrics();
            change("pause");
            for _ in 0..backlog {
                hand_in(host, &body);
            }
            change("resume");
            // A client that polls would need a processor during the calls.
            thread::sleep(CALL_TIME * backlog as u32 / 4);
            let [calls, seconds] = host.wait_for("the backlog", || {
                let metrics = host.metrics();
                let since =
                    |name| metrics.of_exporter("sum", name) - before.of_exporter("sum", name);
                let since = [since(ATTEMPTS), since(SECONDS)];
                (since[0] >= backlog as f64).then_some(since)
            });
            measured[mode].push(Duration::from_secs_f64(seconds / calls));
        }
    }
    measured.map(|times| median(&times))
}

/// The median times of calls in a thread and in a process. Each has a host of its own, and the two
/// take turns, so that neither waits for a processor of the other.
fn calls(series: usize, points: usize, times: usize) -> [Duration; 2] {
    let setups = MODES.map(|mode| sum_exporter(mode, ""));
    let hosts = setups.each_ref().map(Setup::start);
    let body = batch(series, points);
    let mut measured = [const { Vec::new() }; 2];
    let mut before = [0.0; 2];
    for call in 1..=times {
        for (mode, host) in hosts.iter().enumerate() {
            hand_in(host, &body);
            // A client that polls would need a processor during the call.
            thread::sleep(CALL_TIME);
            let metrics = host.wait_for("a call", || {
                let metrics = host.metrics();
                let is_called = metrics.of_exporter("sum", ATTEMPTS) >= call as f64;
                is_called.then_some(metrics)
            });
            let total = metrics.of_exporter("sum", SECONDS);
            measured[mode].push(Duration::from_secs_f64(total - before[mode]));
            before[mode] = total;
        }
    }
    measured.map(|times| median(&times))
}

/// The times until a byte was at a waiting thread and came back, and the same with a process:
/// they are contained in the times of calls.
fn wakes() -> [Duration; 2] {
    let (to_thread, received) = mpsc::channel::<u8>();
    let (answer, answered) = mpsc::channel();
    thread::spawn(move || {
        for byte in received {
            answer.send(byte).expect("the answer is awaited");
        }
    });
    let (mut socket, other) = UnixStream::pair().expect("a pair of sockets");
    let mut process = Command::new(env::current_exe().expect("this program"))
        .arg(ECHO)
        .stdin(Stdio::from(OwnedFd::from(other)))
        .spawn()
        .expect("a process");
    let mut measured = [const { Vec::new() }; 2];
    for _ in 0..WAKES {
        thread::sleep(CALL_TIME);
        let begin = Instant::now();
        to_thread.send(1).expect("the thread waits");
        answered.recv().expect("the thread answers");
        measured[0].push(begin.elapsed());
        thread::sleep(CALL_TIME);
        let begin = Instant::now();
        socket.write_all(&[1]).expect("the process waits");
        socket.read_exact(&mut [0]).expect("the process answers");
        measured[1].push(begin.elapsed());
    }
    drop(socket);
    process.wait().expect("the process ends");
    measured.map(|times| median(&times))
}

/// Answers each byte, as the process of [`wakes`].
fn echo() {
    let socket = io::stdin().as_fd().try_clone_to_owned();
    let mut socket = UnixStream::from(socket.expect("standard input"));
    let mut byte = [0];
    while socket.read_exact(&mut byte).is_ok() && socket.write_all(&byte).is_ok() {}
}

/// How often a batch was encoded for eight exporters, and the private memory of one of their
/// processes, in MiB.
fn eight_exporters() -> (f64, f64) {
    let names: Vec<String> = (0..8).map(|number| format!("e{number}")).collect();
    let tables = names.iter().map(|name| exporter(name, SUM, "process", ""));
    let tables: String = tables.collect();
    let config = format!("performance_exporters = \"{}\"\n{tables}", names.join(","));
    let setup = Setup::new(&["scripted"], &config);
    let host = setup.start();
    hand_in(&host, &batch(1_000, 100));
    for name in &names {
        host.wait_for_delivered(name, 100_000);
    }
    let metrics = host.metrics();
    let samples = metrics.samples().iter();
    let encoded = samples.filter(|sample| sample.name.ends_with("journal_encoded_payloads_total"));
    let pid = &host.exporter("e0")["pid"];
    let memory = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let private = memory.lines().filter(|line| line.starts_with("Private_"));
    let kibibytes = private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    (
        encoded.map(|sample| sample.value).sum(),
        kibibytes.sum::<f64>() / 1024.0,
    )
}

/// From the start of a process until its instance is created.
fn start_up() -> Duration {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..15 {
        let mut tried = Command::new(binary());
        tried.arg("try").arg(plugin("scripted"));
        tried.args(["--exporter", SUM, "--json"]);
        let output = tried
            .output()
            .map(|output| output.stdout)
            .unwrap_or_default();
        let report: Value = serde_json::from_slice(&output).unwrap_or_default();
        times.extend(
            report["create_seconds"]
                .as_f64()
                .map(Duration::from_secs_f64),
        );
    }
    median(&times)
}

/// The time until four webhooks have all batches, in threads and in processes.
fn webhooks() -> [Duration; 2] {
    let mut measured = [const { Vec::new() }; 2];
    for round in 0..2 * WEBHOOK_ROUNDS {
        let mode = round % 2;
        measured[mode].push(deliver(MODES[mode]));
    }
    measured.map(|times| median(&times))
}

fn deliver(mode: &str) -> Duration {
    let receivers: Vec<Receiver> = (0..WEBHOOKS).map(|_| Receiver::start()).collect();
    let names: Vec<String> = (0..WEBHOOKS)
        .map(|number| format!("hook-{number}"))
        .collect();
    let tables = receivers.iter().zip(&names).map(|(receiver, name)| {
        let settings = format!("url = \"{}\"\n", receiver.url());
        exporter(name, "PerformanceExporterWebhook", mode, &settings)
    });
    let tables: String = tables.collect();
    let config = format!("performance_exporters = \"{}\"\n{tables}", names.join(","));
    let setup = Setup::new(&["webhook"], &config);
    let host = setup.start();
    for name in &names {
        host.wait_for_exporter(name, "running", |exporter| exporter["state"] == "running");
    }
    let body = batch(20, 5);
    let begin = Instant::now();
    for _ in 0..WEBHOOK_BATCHES {
        hand_in(&host, &body);
    }
    for name in &names {
        host.wait_for_delivered(name, (WEBHOOK_BATCHES * 100) as u64);
    }
    begin.elapsed()
}

fn sum_exporter(mode: &str, more: &str) -> Setup {
    let table = exporter("sum", SUM, mode, "");
    let config = format!("performance_exporters = \"sum\"\n{table}{more}");
    Setup::new(&["scripted"], &config)
}

fn exporter(name: &str, plugin: &str, mode: &str, settings: &str) -> String {
    format!(
        "[exporter.{name}]\nplugin = \"{plugin}\"\nisolation = \"{mode}\"\n\
         [exporter.{name}.config]\n{settings}"
    )
}

fn batch(series: usize, points: usize) -> Value {
    let series = (0..series).map(|series| {
        let labels = json!({
            "storage_id": "c5c9", "resource_type": "volume",
            "resource_id": format!("volume-{series}"), "unit": "IOPS",
        });
        let times = (0..points).map(|minute| (1_700_000_000_000 + minute * 60_000).to_string());
        let values = times.map(|time| (time, json!(series as f64 + 0.5)));
        let values: serde_json::Map<_, _> = values.collect();
        json!({"name": "iops", "labels": labels, "values": values})
    });
    Value::from_iter(series)
}

fn hand_in(host: &Host, body: &Value) {
    let (status, answer) = host.ingest("performance", body);
    assert_eq!(status, 202, "{answer}");
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
