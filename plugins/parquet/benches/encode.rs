//! How fast a batch becomes a Parquet file.

use delfin_exporter_parquet::encode::ParquetBatch;
use delfin_plugin_api::bench;
use divan::Bencher;

delfin_plugin_api::bench_main!();

#[divan::bench]
fn performance(bencher: Bencher<'_, '_>) {
    bench::performance(bencher, |batch| {
        let files = batch.partitions().into_values();
        files
            .map(|rows| batch.encode(&rows).map(|file| file.len()))
            .sum::<Result<usize, _>>()
    });
}
