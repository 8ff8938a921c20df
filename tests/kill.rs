//! `kill -9` at random moments, while clients send batches and a receiver fails at times: acknowledged
//! batches arrive, and the counts add up.
//!
//! Each batch has one series with a name of its own, so that the file of `PerformanceExporterFile`
//! shows which batches arrived. `DELFIN_TEST_SOAK` multiplies the rounds.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]
#![expect(clippy::print_stdout, reason = "a test that fails shows it")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use delfin_tests::{
    EVERY_RECORD, Host, Setup, WINDOW_STORAGES, assert_each_window_once, process_timeout, soak,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

/// In each mode.
const ROUNDS: u32 = 12;
const CLIENTS: usize = 4;
const FILE: &str = "PerformanceExporterFile";
const SCRIPTED: &str = "PerformanceExporterScripted";

const CONFIG: &str = r#"
performance_exporters = ["PerformanceExporterFile", "PerformanceExporterScripted"]
[exporter.PerformanceExporterFile]
isolation = "MODE"
[exporter.PerformanceExporterFile.config]
path = "@/out.jsonl"
[exporter.PerformanceExporterScripted]
isolation = "MODE"
timeout = "TIMEOUT"
[exporter.PerformanceExporterScripted.retry]
initial_interval = "10ms"
max_interval = "50ms"
[exporter.PerformanceExporterScripted.config]
script = "@/script"
received = "@/received"
"#;

#[derive(Default)]
struct Clients {
    sent: AtomicU64,
    /// Batches with a 202 response: the name of the series, and the id of the batch.
    acknowledged: Mutex<BTreeMap<String, String>>,
}

/// The name, the number of points (1 to 5) and the body of a batch.
fn batch(number: u64) -> (String, u64, Value) {
    let (name, points) = (format!("n{number}"), number % 5 + 1);
    let values = (0..points).map(|time| (time.to_string(), json!(number as f64)));
    let values: serde_json::Map<_, _> = values.collect();
    let body = json!([{ "name": name, "labels": {}, "values": values }]);
    (name, points, body)
}

impl Clients {
    /// Sends batches until `over` is set.
    fn ingest(&self, host: &Host, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            let (name, _, body) = batch(self.sent.fetch_add(1, Ordering::Relaxed));
            if let Some(batch_id) = host.try_ingest(&body) {
                self.acknowledged().insert(name, batch_id);
            }
        }
    }

    fn acknowledged(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.acknowledged.lock().expect("no client panicked")
    }
}

/// Lets clients send for a random time, and kills the host meanwhile.
fn round(setup: &Setup, clients: &Clients, random: &mut StdRng) {
    let host = setup.start();
    assert_accounted(&host);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| clients.ingest(&host, &over));
        }
        for _ in 0..random.random_range(1..12) {
            let words = ["retry", "deliver", "deliver", "panic", "hang"];
            setup.write("script", words[random.random_range(0..words.len())]);
            pause(random, 200);
        }
        host.kill_now();
        over.store(true, Ordering::Relaxed);
    });
    if random.random_bool(0.3) {
        // Also killed while it starts.
        let host = setup.spawn();
        pause(random, 400);
        host.kill();
    }
}

/// Makes the moment of a kill random. No test waits for a condition this way.
fn pause(random: &mut StdRng, up_to_ms: u64) {
    thread::sleep(Duration::from_millis(random.random_range(0..up_to_ms)));
}

fn assert_accounted(host: &Host) {
    let metrics = host.metrics();
    for exporter in [FILE, SCRIPTED] {
        let of =
            |name: &str| metrics.of_exporter(exporter, &format!("delfin_host_exporter_{name}"));
        let ends = ["delivered", "dead_lettered", "dropped", "filtered"];
        let ends = ends.map(|end| of(&format!("{end}_items_total")));
        let (accepted, pending) = (of("accepted_items_total"), of("pending_items"));
        assert!(
            ends.iter().sum::<f64>() + pending == accepted,
            "{exporter}: {ends:?} and {pending} pending of {accepted}"
        );
        assert!(of("unaccounted_items") == 0.0, "{exporter}");
        assert_eq!(ends[1..], [0.0; 3], "{exporter}");
    }
}

/// The names of the series in the file.
fn arrived(setup: &Setup) -> BTreeSet<String> {
    let lines = setup.json_lines("out.jsonl").into_iter();
    let name = |line: Value| {
        let name = line["name"].as_str().unwrap_or_default().to_owned();
        let number = name.trim_start_matches('n').parse();
        let (_, _, sent) = batch(number.unwrap_or_else(|error| panic!("{error}: {line}")));
        assert_eq!(json!([line]), sent, "what arrived is not what was sent");
        name
    };
    lines.map(name).collect()
}

#[test]
fn every_acknowledged_batch_arrives_although_the_host_is_killed_repeatedly() {
    prove("process", process_timeout("1s"));
}

#[test]
fn every_acknowledged_batch_arrives_at_exporters_in_threads_too() {
    prove("thread", "200ms");
}

/// Prints its seed, with which it can be repeated.
fn randomness() -> StdRng {
    let seed = std::env::var("DELFIN_TEST_SEED").map_or_else(
        |_| rand::rng().random(),
        |seed| seed.parse().expect("a number"),
    );
    println!("DELFIN_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

#[test]
fn each_collected_window_is_in_the_journal_once_although_the_host_is_killed_repeatedly() {
    let mut random = randomness();
    let config = |exporter: &str, tables: &str| {
        format!("performance_exporters = [\"{exporter}\"]\n{tables}")
    };
    let tables = format!("[exporter.{FILE}.config]\npath = \"@/out.jsonl\"\n{WINDOW_STORAGES}");
    let setup = Setup::new(&["file", "scripted"], &config(FILE, &tables));
    for _ in 0..soak(ROUNDS) {
        let collected = setup.lines("out.jsonl").len();
        let host = setup.start();
        host.wait_for("a window of this round", || {
            (setup.lines("out.jsonl").len() > collected + 2).then_some(())
        });
        pause(&mut random, 800);
        host.kill();
    }
    // Without the storages: what is in the journal now was collected before.
    let setup = setup.with_config(&config("EveryRecord", EVERY_RECORD));
    let host = setup.start();
    println!("{} windows", assert_each_window_once(&host, &setup));
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
}

fn prove(mode: &str, timeout: &str) {
    let mut random = randomness();
    let config = CONFIG.replace("MODE", mode).replace("TIMEOUT", timeout);
    let setup = Setup::new(&["file", "scripted"], &config);
    let clients = Clients::default();
    for _ in 0..soak(ROUNDS) {
        round(&setup, &clients, &mut random);
    }

    setup.write("script", "deliver");
    let host = setup.start();
    for exporter in [FILE, SCRIPTED] {
        // In a thread, the plugin is to blame for kills that come three times in a row during its calls.
        let path = format!("/v1/exporters/{exporter}/resume");
        let (status, answer) = host.send("POST", &path, Some(&json!({})));
        assert_eq!(status, 200, "{answer}");
        host.wait_for_exporter(exporter, "nothing pending", |exporter| {
            exporter["pending"] == 0
        });
    }
    assert_accounted(&host);
    let delivered = [FILE, SCRIPTED].map(|exporter| host.exporter(exporter)["delivered"].clone());
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");

    let sent = clients.sent.into_inner();
    let acknowledged = clients
        .acknowledged
        .into_inner()
        .expect("no client panicked");
    println!("{sent} batches sent, {} acknowledged", acknowledged.len());
    assert!(
        acknowledged.len() > soak(ROUNDS) as usize * CLIENTS,
        "the clients sent hardly anything"
    );
    let file = arrived(&setup);
    let missing: Vec<_> = acknowledged
        .keys()
        .filter(|name| !file.contains(*name))
        .collect();
    assert!(
        missing.is_empty(),
        "acknowledged, and not in the file: {missing:?}"
    );
    let numbers = file
        .iter()
        .map(|name| name[1..].parse::<u64>().expect("a number"));
    let items: u64 = numbers
        .inspect(|number| assert!(*number < sent))
        .map(|number| batch(number).1)
        .sum();
    assert_eq!(delivered, [json!(items), json!(items)]);

    let received = setup.lines("received");
    let received: BTreeSet<&str> = received
        .iter()
        .filter_map(|line| line.split(' ').next())
        .flat_map(|batches| batches.split(','))
        .collect();
    let missing: Vec<_> = acknowledged
        .values()
        .filter(|id| !received.contains(id.as_str()))
        .collect();
    let some = missing.iter().take(10).collect::<Vec<_>>();
    assert!(
        some.is_empty(),
        "acknowledged, and not received: {some:?} …"
    );
    assert_eq!(received.len(), file.len(), "both have the same batches");
}
