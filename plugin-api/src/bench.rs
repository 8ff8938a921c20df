//! The frame of benchmarks of encoders, on divan.
//!
//! Promises: all encoders get the same batches, and their figures count items, so that those of
//! plugins can be compared; allocations are shown next to the time.
//!
//! A benchmark is a target with `harness = false`, which begins with
//! [`bench_main!()`](crate::bench_main). Its functions have the attribute `#[divan::bench]`, get a
//! [`Bencher`], and pass it on to [`performance`] or [`alerts`].

use divan::{Bencher, counter::ItemsCount};

use crate::{AlertBatch, Batch, PerformanceBatch, sample};

/// For [`bench_main`](crate::bench_main).
#[doc(hidden)]
pub use divan;

/// As many series and points as one storage of Delfin's fake driver has.
const SERIES: usize = 31_629;
const POINTS: usize = 15;
const ALERTS: usize = 10_000;

/// Measures what is done with a batch of 31,629 series with eight labels and 15 points each.
pub fn performance<O>(bencher: Bencher<'_, '_>, encode: impl FnMut(&PerformanceBatch) -> O) {
    measure(bencher, &sample::performance(SERIES, POINTS), encode);
}

/// Measures what is done with a batch of 10,000 alerts.
pub fn alerts<O>(bencher: Bencher<'_, '_>, encode: impl FnMut(&AlertBatch) -> O) {
    measure(bencher, &sample::alerts(ALERTS), encode);
}

fn measure<B: Batch, O>(bencher: Bencher<'_, '_>, batch: &B, mut encode: impl FnMut(&B) -> O) {
    bencher
        .counter(ItemsCount::new(batch.items()))
        .bench_local(|| encode(batch));
}

/// Defines `main`, and the allocator that counts.
#[macro_export]
macro_rules! bench_main {
    () => {
        #[global_allocator]
        static ALLOCATOR: $crate::bench::divan::AllocProfiler =
            $crate::bench::divan::AllocProfiler::system();

        fn main() {
            $crate::bench::divan::main();
        }
    };
}
