//! The effect of one failing exporter on seven others: the time from ingest of a batch to its arrival at
//! their receivers, with all eight receivers up, with the eighth down, and with the eighth hung.
//!
//! The benchmark uses the real host and the real webhook exporter, and sends batches at a fixed
//! interval. The three cases alternate, so that a change in machine speed affects all of them.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use delfin_tests::{Behavior, Host, Receiver, Setup};
use serde_json::{Value, json};

const ROUNDS: usize = 4;
const BATCHES: usize = 80;
const SERIES: usize = 20;
const INTERVAL: Duration = Duration::from_millis(25);
const EXPORTERS: usize = 8;

const CASES: [(&str, Behavior); 3] = [
    ("all well", Behavior::Accept),
    ("one dead", Behavior::Closed),
    ("one hung", Behavior::Stall),
];

/// Latencies of one case.
#[derive(Default)]
struct Latencies {
    /// From the request to the response that the batch is durable.
    durable: Vec<Duration>,
    /// From the request to the arrival at one of the seven receivers.
    delivered: Vec<Duration>,
}

#[expect(clippy::print_stdout, reason = "what was measured")]
fn main() {
    let mut measured: BTreeMap<&str, Latencies> = BTreeMap::new();
    for round in 0..ROUNDS {
        for turn in 0..CASES.len() {
            let (name, behavior) = CASES[(round + turn) % CASES.len()];
            run(behavior, measured.entry(name).or_default());
        }
    }
    println!(
        "{EXPORTERS} webhook exporters, a batch of {SERIES} series every {INTERVAL:?}; \
         {ROUNDS} runs of {BATCHES} batches each; milliseconds, seven exporters"
    );
    println!("            durable p50    p99   delivered p50    p99   against all well p50    p99");
    let well = percentiles(&measured["all well"].delivered);
    for (name, _) in CASES {
        let durable = percentiles(&measured[name].durable);
        let delivered = percentiles(&measured[name].delivered);
        println!(
            "{name:12}{:>11.1} {:>6.1} {:>15.1} {:>6.1} {:>22.2} {:>6.2}",
            durable.0,
            durable.1,
            delivered.0,
            delivered.1,
            delivered.0 / well.0,
            delivered.1 / well.1
        );
    }
}

/// Sends batches at the interval, and measures each.
fn run(behavior: Behavior, latencies: &mut Latencies) {
    let receivers: Vec<Receiver> = (0..EXPORTERS).map(|_| Receiver::start()).collect();
    let setup = Setup::new(&["webhook"], &config(&receivers));
    receivers[EXPORTERS - 1].set_behavior(behavior);
    let host = setup.start();
    let begin = Instant::now();
    let mut handed_in = Vec::new();
    for number in 0..BATCHES {
        let due = begin + INTERVAL * u32::try_from(number).unwrap_or(u32::MAX);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        handed_in.push(Instant::now());
        hand_in(&host, number);
        latencies.durable.push(handed_in[number].elapsed());
    }
    for receiver in &receivers[..EXPORTERS - 1] {
        let arrived = host.wait_for("all batches to arrive", || {
            let first = first_arrivals(receiver);
            (first.len() == BATCHES).then_some(first)
        });
        let waited = arrived
            .iter()
            .map(|(number, at)| at.saturating_duration_since(handed_in[*number]));
        latencies.delivered.extend(waited);
    }
}

/// The name of the first series is the number of the batch.
fn first_arrivals(receiver: &Receiver) -> BTreeMap<usize, Instant> {
    let mut first = BTreeMap::new();
    for (row, at) in receiver.times() {
        if let Ok(number) = row.name.parse() {
            first.entry(number).or_insert(at);
        }
    }
    first
}

fn hand_in(host: &Host, number: usize) {
    let series = (0..SERIES).map(|series| {
        let name = if series == 0 {
            number.to_string()
        } else {
            format!("series-{series}")
        };
        let labels = json!({
            "storage_id": "c5c9", "resource_type": "volume", "resource_id": format!("volume-{series}"),
            "unit": "IOPS",
        });
        let times = (0..5).map(|minute| (1_700_000_000_000_u64 + minute * 60_000).to_string());
        let values = times.map(|time| (time, json!(series as f64 + 0.5)));
        json!({"name": name, "labels": labels, "values": values.collect::<serde_json::Map<_, _>>()})
    });
    let (status, answer) = host.ingest("performance", &Value::from_iter(series));
    assert_eq!(status, 202, "{answer}");
}

fn config(receivers: &[Receiver]) -> String {
    let names: Vec<String> = (0..receivers.len())
        .map(|at| format!("hook-{at}"))
        .collect();
    let tables = receivers.iter().zip(&names).map(|(receiver, name)| {
        format!(
            "[exporter.{name}]\nplugin = \"PerformanceExporterWebhook\"\ntimeout = \"1s\"\n\
             [exporter.{name}.config]\nurl = \"{}\"\n",
            receiver.url()
        )
    });
    let tables: String = tables.collect();
    format!("performance_exporters = \"{}\"\n{tables}", names.join(","))
}

/// The median and the 99th percentile, in milliseconds.
fn percentiles(latencies: &[Duration]) -> (f64, f64) {
    let mut sorted = latencies.to_vec();
    sorted.sort();
    let at = |share: f64| {
        let index = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
        sorted
            .get(index)
            .map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    };
    (at(0.5), at(0.99))
}
