//! How fast a batch becomes rows of `COPY`. Each time, the database knows no series of it, as with
//! the first batch.

use delfin_exporter_postgres::encode::{CopyBatch, CopyTables};
use delfin_plugin_api::{RowFailures, bench};
use divan::Bencher;

delfin_plugin_api::bench_main!();

#[divan::bench]
fn performance(bencher: Bencher<'_, '_>) {
    let mut tables = CopyTables::default();
    bench::performance(bencher, |batch| {
        tables.clear();
        batch.encode(&[], &mut tables, &mut RowFailures::new());
    });
}
