//! How fast alerts become incidents: their keys, summaries and urgencies. A service takes some two
//! hundred of them in a minute.

use delfin_exporter_incident::encode::Incident;
use delfin_plugin_api::{Batch, sample};
use divan::{AllocProfiler, Bencher, counter::ItemsCount};

/// Shows the allocations of a batch next to its time.
#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench]
fn alerts(bencher: Bencher<'_, '_>) {
    let batch = sample::alerts(10_000);
    bencher
        .counter(ItemsCount::new(batch.items()))
        .bench_local(|| -> usize {
            let incidents = batch
                .alerts()
                .map(|alert| Incident::new(alert, "fan failed"));
            incidents.map(|incident| incident.key.len()).sum()
        });
}
