//! How fast a batch becomes a compressed Arrow stream.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails shows it")]

use delfin_plugin_api::{
    Batch,
    arrow_stream::write_stream,
    bench,
    http::{BodyCompressor, Compression},
};
use divan::Bencher;

delfin_plugin_api::bench_main!();

#[divan::bench(args = [Compression::None, Compression::Zstd])]
fn performance(bencher: Bencher<'_, '_>, compression: Compression) {
    let mut stream = Vec::new();
    let mut compressor = BodyCompressor::new(compression);
    bench::performance(bencher, |batch| {
        write_stream(batch.as_arrow(), &mut stream).unwrap();
        compressor.compress(&stream).unwrap().len()
    });
}
