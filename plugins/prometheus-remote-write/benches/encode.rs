//! How fast a batch becomes a request. The batch has 31,629 series with eight labels and 15 points
//! each, like one storage of Delfin's fake driver.

use delfin_exporter_prometheus_remote_write::encode::{Protocol, WriteRequest};
use delfin_plugin_api::{Batch, sample};
use divan::{AllocProfiler, Bencher, counter::ItemsCount};

/// Shows the allocations of a batch next to its time.
#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(args = [Protocol::V1, Protocol::V2])]
fn performance(bencher: Bencher<'_, '_>, protocol: Protocol) {
    let batch = sample::performance(31_629, 15);
    let mut request = WriteRequest::default();
    bencher
        .counter(ItemsCount::new(batch.items()))
        .bench_local(|| {
            request.clear(protocol);
            for series in batch.series() {
                request.push(&series);
            }
            request.finish().len()
        });
}
