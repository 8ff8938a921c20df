//! How fast a batch becomes a request.

use delfin_exporter_otlp::encode::OtlpBatch;
use delfin_plugin_api::{bench, protobuf::ProtobufWriter};
use divan::Bencher;

delfin_plugin_api::bench_main!();

#[divan::bench]
fn performance(bencher: Bencher<'_, '_>) {
    let mut request = ProtobufWriter::default();
    bench::performance(bencher, |batch| {
        request.clear(usize::MAX);
        batch.encode(&mut request)
    });
}
