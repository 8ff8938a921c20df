//! How fast a batch becomes lines of JSON. The batch has 31,629 series with eight
//! labels and 15 points each, like one storage of Delfin's fake driver.

use std::io;

use delfin_exporter_file::encode::Lines;
use delfin_plugin_api::{Batch, PerformanceBatch, PerformanceBatchBuilder};
use divan::{AllocProfiler, Bencher, counter::ItemsCount};

/// Shows the allocations of a batch next to its time.
#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench]
fn performance(bencher: Bencher<'_, '_>) {
    let batch = batch();
    let mut buffer = Vec::new();
    bencher
        .counter(ItemsCount::new(batch.items()))
        .bench_local(|| {
            let mut lines = Lines::new(&mut buffer, io::sink());
            let skipped = lines.write(&batch);
            skipped.and_then(|skipped| lines.finish().map(|()| skipped))
        });
}

fn batch() -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    let mut random: u64 = 1;
    for series in 0..31_629 {
        let id = format!("volume_{}", series / 15);
        let labels = [
            ("storage_id", "c5c91c98-91aa-40e6-85ac-37a1d3b32bda"),
            ("resource_type", "volume"),
            ("resource_id", &id),
            ("type", "RAW"),
            ("unit", "IOPS"),
            ("value_type", "gauge"),
            ("name", "fake_driver"),
            ("serial_number", "6d1b7ba3-70c4-4a45-8d0a-2cf5e9a3a4b1"),
        ];
        let points = (0..15).map(|point| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let fraction = (random >> 11) as f64 / (1_u64 << 53) as f64;
            (1_700_000_000_000 + 60_000 * point, 1.0 + 99.0 * fraction)
        });
        let added = batch.series("readIops", labels, points);
        assert_eq!(added, Ok(()));
    }
    batch.build()
}
