//! How fast alerts become a body for Alertmanager.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails shows it")]

use std::time::{Duration, SystemTime};

use delfin_exporter_prometheus::alert::encode::PostedAlert;
use delfin_plugin_api::bench;
use divan::Bencher;

const RESOLVE_AFTER: Duration = Duration::from_mins(5);

delfin_plugin_api::bench_main!();

#[divan::bench]
fn alerts(bencher: Bencher<'_, '_>) {
    let labels = ["site".to_owned()];
    let now = SystemTime::now();
    bench::alerts(bencher, |batch| {
        let alerts = batch.alerts().enumerate();
        let alerts =
            alerts.map(|(row, alert)| PostedAlert::new((row, &alert), &labels, now, RESOLVE_AFTER));
        serde_json::to_vec(&alerts.collect::<Vec<_>>())
            .unwrap()
            .len()
    });
}
