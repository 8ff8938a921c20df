//! How fast a batch becomes line protocol.

use delfin_exporter_influxdb::encode::{LineBatch, LineBuffer};
use delfin_plugin_api::bench;
use divan::Bencher;

delfin_plugin_api::bench_main!();

#[divan::bench]
fn performance(bencher: Bencher<'_, '_>) {
    let mut lines = LineBuffer::default();
    bench::performance(bencher, |batch| {
        lines.clear(false);
        batch.encode(&[], &mut lines)
    });
}
