//! Hosts, one for each cluster, and their clients.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use delfin_bench::{
    load::{Target, send},
    payload::{Form, Shape},
};
use delfin_tests::{Host, Setup, Site};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{Measured, Processes, clients::read_records};

const TIME: Duration = Duration::from_secs(4);
const WARM_UP: Duration = Duration::from_secs(2);

const EXPORTER: &str = r#"
performance_exporters = ["sum"]
[exporter.sum]
plugin = "PerformanceExporterSum"
"#;

/// Sends requests to so many hosts. Returns some of the records in their topics too, for each host.
pub(crate) fn measure(
    site: &Site,
    runtime: &Runtime,
    shape: Shape,
    count: usize,
) -> (Measured, Vec<Vec<Vec<u8>>>) {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let clusters: Vec<_> = (0..count)
        .map(|_| format!("c{}", NEXT.fetch_add(1, Ordering::Relaxed)))
        .collect();
    let hosts: Vec<_> = clusters.iter().map(|name| start(site, name)).collect();
    hosts.iter().for_each(|(_, host)| host.wait_until_ready());
    let processes = Processes::new(site, hosts.iter().map(|(_, host)| host.pid()).collect());
    let bodies = Arc::new(Form::DelfinJson.bodies(shape));
    let load = |time| {
        let mut loads = JoinSet::new();
        for (_, host) in &hosts {
            let (target, bodies) = (target(host), Arc::clone(&bodies));
            loads.spawn_on(
                async move { send(&target, &bodies, time).await.accepted },
                runtime.handle(),
            );
        }
        let accepted: u64 = runtime.block_on(loads.join_all()).into_iter().sum();
        accepted * (shape.series * shape.points) as u64
    };
    let warmed = load(WARM_UP);
    wait_until_delivered(&hosts, warmed);
    let before = processes.seconds();
    let begin = Instant::now();
    let items = load(TIME);
    let sending = begin.elapsed();
    wait_until_delivered(&hosts, warmed + items);
    let delivering = begin.elapsed();
    let rate = |time: Duration| items as f64 / time.as_secs_f64();
    let measured = processes.measured(before, rate(sending), rate(delivering), items as f64);
    let records = clusters.iter();
    let records = records.map(|name| read_records(&site.broker, &format!("{name}.performance")));
    (measured, records.collect())
}

fn start(site: &Site, cluster: &str) -> (Setup, Host) {
    let tables = site.member(cluster, "a", "30s") + &site.kafka();
    let setup = Setup::new(&["scripted"], &(EXPORTER.to_owned() + &tables));
    setup.write_key("key");
    let host = setup.start();
    (setup, host)
}

fn target(host: &Host) -> Target {
    let address = host.url().trim_start_matches("http://");
    Target {
        address: address.parse().expect("the host has an address"),
        path: "/v1/ingest/performance",
        content_type: Form::DelfinJson.content_type(),
    }
}

fn wait_until_delivered(hosts: &[(Setup, Host)], items: u64) {
    delfin_tests::wait_for("everything delivered", || {
        let delivered = |host: &Host| host.exporter("sum")["delivered"].as_u64();
        let all: u64 = hosts.iter().filter_map(|(_, host)| delivered(host)).sum();
        (all >= items).then_some(())
    });
}
