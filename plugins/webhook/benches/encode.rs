//! How fast a batch becomes the body of a request.

use delfin_exporter_webhook::encode::encode;
use delfin_plugin_api::bench;
use divan::Bencher;

delfin_plugin_api::bench_main!();

#[divan::bench]
fn performance(bencher: Bencher<'_, '_>) {
    let mut body = Vec::new();
    bench::performance(bencher, |batch| {
        body.clear();
        encode(batch, &mut body)
    });
}
