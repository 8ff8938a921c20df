//! How fast alerts become messages.

use delfin_exporter_syslog::encode::MessageEncoder;
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
    let encoder = MessageEncoder::new(16, 32_473, 8192);
    bencher
        .counter(ItemsCount::new(batch.items()))
        .bench_local(|| -> usize {
            let messages = batch.alerts().map(|alert| encoder.encode(&alert));
            messages.map(|message| message.bytes.len()).sum()
        });
}
