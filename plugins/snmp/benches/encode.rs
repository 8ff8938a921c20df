//! How fast alerts become notifications.

use delfin_exporter_snmp::encode::{DOCUMENTATION_NUMBER, NotificationEncoder};
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
    let encoder = NotificationEncoder::new(DOCUMENTATION_NUMBER);
    bencher
        .counter(ItemsCount::new(batch.items()))
        .bench_local(|| -> Vec<_> {
            let alerts = batch.alerts();
            alerts
                .map(|alert| encoder.encode(&alert, "sync", ""))
                .collect()
        });
}
