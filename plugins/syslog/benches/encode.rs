//! How fast alerts become messages.

use delfin_exporter_syslog::encode::MessageEncoder;
use delfin_plugin_api::bench;
use divan::Bencher;

delfin_plugin_api::bench_main!();

#[divan::bench]
fn alerts(bencher: Bencher<'_, '_>) {
    let encoder = MessageEncoder::new(16, 32_473, 8192);
    bench::alerts(bencher, |batch| -> usize {
        let messages = batch.alerts().map(|alert| encoder.encode(&alert));
        messages.map(|message| message.bytes.len()).sum()
    });
}
