//! 10,000 simulated storages, measured every minute by four hosts that are four clusters on one broker and one database: whether each
//! window of each storage is delivered once. Budget: none is missed, and none is there twice.
//!
//! Prints what the processes use too, and for `scripts/benchmarks` their processor time of a window.

#![expect(clippy::print_stdout, reason = "what was measured")]
#![expect(
    clippy::expect_used,
    reason = "a benchmark says by a panic that it failed"
)]

use std::{
    thread,
    time::{Duration, Instant},
};

use delfin_bench::usage::Usage;
use delfin_tests::{DeliveredWindows, FakeStorages, Host, Setup, Site};
use serde_json::json;

const CLUSTERS: [&str; 4] = ["north", "east", "south", "west"];

/// Of each cluster. 20 volumes are 309 series.
const STORAGES: FakeStorages = FakeStorages {
    count: 2_500,
    interval: Duration::from_secs(60),
    volumes: 20,
};

/// Storages start within the first interval.
const TIME: Duration = Duration::from_secs(5 * 60);

fn main() {
    let Some(site) = Site::start() else {
        return;
    };
    let hosts = CLUSTERS.map(|cluster| start(&site, cluster));
    hosts.iter().for_each(|(_, host)| host.wait_until_ready());
    let pids = hosts.each_ref().map(|(_, host)| host.pid());
    let servers = [
        site.broker.pid().expect("the broker runs"),
        site.database.pid(),
    ];
    let used = || [&pids[..], &servers[..1], &servers[1..]].map(usage);
    let (before, begin) = (used(), Instant::now());
    thread::sleep(TIME);
    let (after, time) = (used(), begin.elapsed());

    let mut all = DeliveredWindows {
        fewest: usize::MAX,
        ..DeliveredWindows::default()
    };
    let mut skipped = 0.0;
    for (setup, host) in &hosts {
        let delivered = STORAGES.delivered(setup);
        all.storages += delivered.storages;
        all.windows += delivered.windows;
        all.fewest = all.fewest.min(delivered.fewest);
        all.missed += delivered.missed;
        all.repeated += delivered.repeated;
        let metrics = host.metrics();
        let samples = metrics.samples().iter();
        let samples = samples.filter(|sample| sample.name.ends_with("calls_skipped_total"));
        skipped += samples.map(|sample| sample.value).sum::<f64>();
    }
    println!(
        "{} storages in {} clusters for {:.0} s: {} windows delivered, at least {} of each storage, {} missed (at most 0), \
         {} repeated (at most 0), {skipped} calls skipped",
        all.storages,
        CLUSTERS.len(),
        time.as_secs_f64(),
        all.windows,
        all.fewest,
        all.missed,
        all.repeated,
    );
    let names = ["hosts", "broker", "database"];
    for ((name, before), after) in names.iter().zip(before).zip(after) {
        let seconds = after.cpu_seconds - before.cpu_seconds;
        println!(
            "{name}: {:.1} % of a processor, {:.0} MB of memory",
            seconds / time.as_secs_f64() * 100.0,
            after.memory_bytes as f64 / 1e6,
        );
        let window = seconds / all.windows as f64;
        println!(
            "{}",
            json!({"name": format!("window/processor time of {name}"), "seconds": window})
        );
    }
    assert_eq!((all.missed, all.repeated), (0, 0));
    assert_eq!(all.storages, CLUSTERS.len() * STORAGES.count);
}

fn start(site: &Site, cluster: &str) -> (Setup, Host) {
    let tables = site.member(cluster, "a", "30s") + &site.kafka();
    let setup = Setup::new(&["file"], &(STORAGES.config(cluster) + &tables));
    setup.write_key("key");
    let host = setup.start();
    (setup, host)
}

fn usage(pids: &[u32]) -> Usage {
    let mut all = Usage::default();
    for usage in pids.iter().copied().map(Usage::of) {
        all.cpu_seconds += usage.cpu_seconds;
        all.memory_bytes += usage.memory_bytes;
    }
    all
}
