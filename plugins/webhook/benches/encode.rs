//! How fast a batch becomes the body of a request. The batch has 31,629 series with eight labels and
//! 15 points each, like one storage of Delfin's fake driver.

use delfin_exporter_webhook::encode::encode;
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
    let mut body = Vec::new();
    bencher
        .counter(ItemsCount::new(batch.items()))
        .bench_local(|| {
            body.clear();
            encode(&batch, &mut body)
        });
}
