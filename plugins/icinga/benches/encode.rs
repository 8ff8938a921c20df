//! How fast a batch becomes check results. The batch has 31,629 series with eight labels and 15 points
//! each, like one storage of Delfin's fake driver.

use delfin_exporter_icinga::encode::{CheckResults, ResultBatch, ServiceNames};
use delfin_plugin_api::{Batch, PerformanceBatch, sample, setting::Mistakes};
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
    let names =
        ServiceNames::read::<PerformanceBatch>([None, None, None], &mut Mistakes::default());
    let mut results = CheckResults::default();
    bencher
        .counter(ItemsCount::new(batch.items()))
        .bench_local(|| {
            results.clear();
            batch.encode(&names, &mut results)
        });
}
