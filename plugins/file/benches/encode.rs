//! How fast a batch becomes lines of JSON.

use std::io;

use delfin_exporter_file::encode::Lines;
use delfin_plugin_api::bench;
use divan::Bencher;

delfin_plugin_api::bench_main!();

#[divan::bench]
fn performance(bencher: Bencher<'_, '_>) {
    let mut buffer = Vec::new();
    bench::performance(bencher, |batch| {
        let mut lines = Lines::new(&mut buffer, io::sink());
        let skipped = lines.write(batch);
        skipped.and_then(|skipped| lines.finish().map(|()| skipped))
    });
}
