//! How fast a batch becomes an Arrow stream.

use delfin_plugin_api::{Batch, arrow_stream::write_stream, bench};
use divan::Bencher;

delfin_plugin_api::bench_main!();

#[divan::bench]
fn performance(bencher: Bencher<'_, '_>) {
    let mut stream = Vec::new();
    bench::performance(bencher, |batch| {
        write_stream(batch.as_arrow(), &mut stream).is_ok()
    });
}
