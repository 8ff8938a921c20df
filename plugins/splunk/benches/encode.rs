//! How fast a batch becomes events.

use delfin_exporter_splunk::encode::{EventBatch, EventMetadata, EventRequests};
use delfin_plugin_api::bench;
use divan::Bencher;

delfin_plugin_api::bench_main!();

#[divan::bench]
fn performance(bencher: Bencher<'_, '_>) {
    let metadata = EventMetadata::default();
    let mut requests = EventRequests::default();
    bench::performance(bencher, |batch| {
        requests.clear();
        batch.encode(&metadata, &mut requests)
    });
}
