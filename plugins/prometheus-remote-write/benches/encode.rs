//! How fast a batch becomes a request.

use delfin_exporter_prometheus_remote_write::encode::{Protocol, WriteRequest};
use delfin_plugin_api::bench;
use divan::Bencher;

delfin_plugin_api::bench_main!();

#[divan::bench(args = [Protocol::V1, Protocol::V2])]
fn performance(bencher: Bencher<'_, '_>, protocol: Protocol) {
    let mut request = WriteRequest::default();
    bench::performance(bencher, |batch| {
        request.clear(protocol);
        for series in batch.series() {
            request.push(&series);
        }
        request.finish().len()
    });
}
