//! How fast alerts become notifications.

use delfin_exporter_snmp::encode::{DOCUMENTATION_NUMBER, NotificationEncoder};
use delfin_plugin_api::bench;
use divan::Bencher;

delfin_plugin_api::bench_main!();

#[divan::bench]
fn alerts(bencher: Bencher<'_, '_>) {
    let encoder = NotificationEncoder::new(DOCUMENTATION_NUMBER);
    bench::alerts(bencher, |batch| -> Vec<_> {
        let alerts = batch.alerts();
        alerts
            .map(|alert| encoder.encode(&alert, "sync", ""))
            .collect()
    });
}
