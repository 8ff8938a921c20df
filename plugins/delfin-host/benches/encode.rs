//! How fast a batch becomes a compressed Arrow stream. The batch has 31,629 series with eight labels
//! and 15 points each, like one storage of Delfin's fake driver.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails shows it")]

use delfin_plugin_api::{
    Batch,
    arrow_stream::write_stream,
    http::{BodyCompressor, Compression},
    sample,
};
use divan::{AllocProfiler, Bencher, counter::ItemsCount};

/// Shows the allocations of a batch next to its time.
#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(args = [Compression::None, Compression::Zstd])]
fn performance(bencher: Bencher<'_, '_>, compression: Compression) {
    let batch = sample::performance(31_629, 15);
    let mut stream = Vec::new();
    let mut compressor = BodyCompressor::new(compression);
    bencher
        .counter(ItemsCount::new(batch.items()))
        .bench_local(|| {
            write_stream(batch.as_arrow(), &mut stream).unwrap();
            compressor.compress(&stream).unwrap().len()
        });
}
