//! How fast a batch becomes documents. The batch has 31,629 series with eight labels and 15 points
//! each, like one storage of Delfin's fake driver.

use delfin_exporter_elasticsearch::encode::{BulkBatch, BulkBody};
use delfin_plugin_api::{Batch, sample};
use divan::{AllocProfiler, Bencher, counter::ItemsCount};

/// Shows the allocations of a batch next to its time.
#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench]
fn performance(bencher: Bencher<'_, '_>) {
    let batch = sample::performance(31_629, 15);
    let mut body = BulkBody::default();
    bencher
        .counter(ItemsCount::new(batch.items()))
        .bench_local(|| {
            body.clear();
            batch.encode(&mut body)
        });
}
