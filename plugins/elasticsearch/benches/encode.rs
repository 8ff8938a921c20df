//! How fast a batch becomes documents.

use delfin_exporter_elasticsearch::encode::{BulkBatch, BulkBody};
use delfin_plugin_api::bench;
use divan::Bencher;

delfin_plugin_api::bench_main!();

#[divan::bench]
fn performance(bencher: Bencher<'_, '_>) {
    let mut body = BulkBody::default();
    bench::performance(bencher, |batch| {
        body.clear();
        batch.encode(&mut body)
    });
}
