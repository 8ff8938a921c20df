//! How fast alerts become incidents: their keys, summaries and urgencies. A service takes some two
//! hundred of them in a minute.

use delfin_exporter_incident::encode::Incident;
use delfin_plugin_api::bench;
use divan::Bencher;

delfin_plugin_api::bench_main!();

#[divan::bench]
fn alerts(bencher: Bencher<'_, '_>) {
    bench::alerts(bencher, |batch| -> usize {
        let incidents = batch
            .alerts()
            .map(|alert| Incident::new(alert, "fan failed"));
        incidents.map(|incident| incident.key.len()).sum()
    });
}
