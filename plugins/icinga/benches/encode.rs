//! How fast a batch becomes check results.

use delfin_exporter_icinga::encode::{CheckResults, ResultBatch, ServiceNames};
use delfin_plugin_api::{PerformanceBatch, bench, setting::Mistakes};
use divan::Bencher;

delfin_plugin_api::bench_main!();

#[divan::bench]
fn performance(bencher: Bencher<'_, '_>) {
    let names =
        ServiceNames::read::<PerformanceBatch>([None, None, None], &mut Mistakes::default());
    let mut results = CheckResults::default();
    bench::performance(bencher, |batch| {
        results.clear();
        batch.encode(&names, &mut results)
    });
}
