//! How fast a batch becomes an Arrow stream. The batch has 31,629 series with eight labels and
//! 15 points each, like one storage of Delfin's fake driver.

use delfin_plugin_api::{Batch, arrow_stream::write_stream, sample};
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
    let mut stream = Vec::new();
    bencher
        .counter(ItemsCount::new(batch.items()))
        .bench_local(|| write_stream(batch.as_arrow(), &mut stream).is_ok());
}
