//! How fast alerts become a body for Alertmanager.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails shows it")]

use std::time::{Duration, SystemTime};

use delfin_exporter_prometheus::alert::encode::PostedAlert;
use delfin_plugin_api::{Batch, sample};
use divan::{AllocProfiler, Bencher, counter::ItemsCount};

const RESOLVE_AFTER: Duration = Duration::from_mins(5);

/// Shows the allocations of a batch next to its time.
#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench]
fn alerts(bencher: Bencher<'_, '_>) {
    let batch = sample::alerts(10_000);
    let labels = ["site".to_owned()];
    let now = SystemTime::now();
    bencher
        .counter(ItemsCount::new(batch.items()))
        .bench_local(|| {
            let alerts = batch.alerts().enumerate();
            let alerts = alerts
                .map(|(row, alert)| PostedAlert::new((row, &alert), &labels, now, RESOLVE_AFTER));
            serde_json::to_vec(&alerts.collect::<Vec<_>>())
                .unwrap()
                .len()
        });
}
