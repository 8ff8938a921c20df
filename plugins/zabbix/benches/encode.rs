//! How fast a batch becomes values.

use delfin_exporter_zabbix::encode::{ItemNames, ValueBatch, ValueRows};
use delfin_plugin_api::{PerformanceBatch, bench, setting::Mistakes};
use divan::Bencher;

delfin_plugin_api::bench_main!();

#[divan::bench]
fn performance(bencher: Bencher<'_, '_>) {
    let items = ItemNames::read::<PerformanceBatch>(None, None, &mut Mistakes::default());
    let mut values = ValueRows::default();
    bench::performance(bencher, |batch| {
        values.clear();
        batch.encode(&items, &mut values);
    });
}
