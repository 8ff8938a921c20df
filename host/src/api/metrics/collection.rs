//! Metrics of the collection from each storage.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue},
};

use super::family::FamilyWriter;
use crate::collect::{CollectMonitor, CollectStats};

#[derive(Debug)]
pub(super) struct CollectionCollector(pub(super) CollectMonitor);

impl Collector for CollectionCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut table = StorageTable {
            page: FamilyWriter::new(encoder),
            storages: self.0.stats().into_iter().collect(),
        };
        table.count(
            "collection_calls_succeeded",
            "Collections and alert syncs that succeeded.",
            |s| s.succeeded,
        )?;
        table.count(
            "collection_calls_failed",
            "Collections and alert syncs that failed.",
            |s| s.failed,
        )?;
        table.count(
            "collection_refused_batches",
            "Batches that the journal refused at the first attempt.",
            |s| s.rejected,
        )?;
        table.count(
            "collection_calls_skipped",
            "Collections and alert syncs that were skipped because the one before took too long; later ones include their windows.",
            |s| s.skipped,
        )?;
        table.count("collection_points", "Points collected.", |s| s.points)?;
        table.count("collection_alerts", "Alerts collected.", |s| s.alerts)?;
        table.count(
            "collection_given_up_seconds",
            "Time for which no performance will be collected, because storages did not answer for too long.",
            |s| s.lost_time.as_secs_f64(),
        )?;
        table.gauge(
            "collection_duration_seconds",
            "Duration of the last call.",
            |s| s.last_duration.map(|duration| duration.as_secs_f64()),
        )?;
        let help = "Time of the last call that succeeded, in seconds since the Unix epoch.";
        table.gauge("collection_last_success_timestamp_seconds", help, |s| {
            s.last_success_ms.map(|ms| ms as f64 / 1000.0)
        })
    }
}

struct StorageTable<'p> {
    page: FamilyWriter<'p>,
    storages: Vec<(String, CollectStats)>,
}

impl StorageTable<'_> {
    fn count<V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&CollectStats) -> V,
    ) -> fmt::Result {
        let series = self.storages.iter();
        let series = series.map(|(id, stats)| ([("storage_id", id.as_str())], value(stats)));
        self.page.counter(name, help, series)
    }

    fn gauge<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&CollectStats) -> Option<V>,
    ) -> fmt::Result {
        let series = self
            .storages
            .iter()
            .filter_map(|(id, stats)| Some(([("storage_id", id.as_str())], value(stats)?)));
        self.page.gauge(name, help, series)
    }
}
