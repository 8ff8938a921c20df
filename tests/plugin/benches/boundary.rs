//! The cost of the plugin boundary: the same loop over the same batch, in the host and in a
//! plugin, through the Rust interface and through the C interface.

use std::{hint::black_box, path::Path};

use delfin_exporter_scripted::sum::sum;
use delfin_plugin_api::{Batch, PerformanceBatch, sample, testkit};
use divan::{Bencher, counter::ItemsCount};

/// Series and points of each: 1 point, 100,000 points, and one collection of a large storage.
const BATCHES: [(usize, usize); 3] = [(1, 1), (10_000, 10), (31_629, 15)];

fn main() {
    divan::main();
}

fn batch((series, points): (usize, usize)) -> PerformanceBatch {
    sample::performance(series, points)
}

#[divan::bench(args = BATCHES.map(|(series, points)| series * points))]
fn in_the_host(bencher: Bencher<'_, '_>, points: usize) {
    let batch = batch(shape(points));
    bencher
        .counter(ItemsCount::new(points))
        .bench_local(|| black_box(sum(&batch)));
}

#[divan::bench(args = BATCHES.map(|(series, points)| series * points))]
fn through_the_plugin(bencher: Bencher<'_, '_>, points: usize) {
    through(&testkit::build_library(), bencher, points);
}

#[divan::bench(args = BATCHES.map(|(series, points)| series * points))]
fn through_the_c_interface(bencher: Bencher<'_, '_>, points: usize) {
    let harness = testkit::Harness::of_crate();
    let library = testkit::c_interface_only(&testkit::build_library(), &harness.new_folder());
    through(&library, bencher, points);
}

fn through(library: &Path, bencher: Bencher<'_, '_>, points: usize) {
    let batch = batch(shape(points));
    let harness = testkit::Harness::open(library);
    let settings = serde_json::json!({});
    let exporter = harness.create("PerformanceExporterSum", &settings, &harness.new_folder());
    let mut exporter = exporter.unwrap_or_else(|outcome| panic!("{outcome:?}"));
    bencher.counter(ItemsCount::new(points)).bench_local(|| {
        let outcome = exporter.export(batch.as_arrow());
        assert_eq!(outcome.message, "");
    });
}

fn shape(points: usize) -> (usize, usize) {
    let shape = BATCHES
        .into_iter()
        .find(|(series, each)| series * each == points);
    shape.unwrap_or_default()
}
