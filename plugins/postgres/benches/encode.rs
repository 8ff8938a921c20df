//! How fast a batch becomes rows of `COPY`. The batch has 31,629 series with eight labels and
//! 15 points each, like one storage of Delfin's fake driver. Each time, the database knows no
//! series of it, as with the first batch.

use delfin_exporter_postgres::encode::{CopyBatch, CopyTables};
use delfin_plugin_api::{Batch, RowFailures, sample};
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
    let mut tables = CopyTables::default();
    bencher
        .counter(ItemsCount::new(batch.items()))
        .bench_local(|| {
            tables.clear();
            batch.encode(&[], &mut tables, &mut RowFailures::new());
        });
}
