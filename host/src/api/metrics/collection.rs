//! How collection from each storage is going.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue},
};

use super::page::Page;
use crate::collect::{CollectMonitor, CollectStats};

/// Asks the schedule.
#[derive(Debug)]
pub(super) struct Collection(pub(super) CollectMonitor);

impl Collector for Collection {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut table = Table {
            page: Page::new(encoder),
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
            "Batches that the journal did not take at once.",
            |s| s.refused,
        )?;
        table.count(
            "collection_calls_skipped",
            "Collections and alert syncs whose time passed during the one before: their windows became part of later ones.",
            |s| s.skipped,
        )?;
        table.count("collection_points", "Points collected.", |s| s.points)?;
        table.count("collection_alerts", "Alerts collected.", |s| s.alerts)?;
        table.count(
            "collection_given_up_seconds",
            "Time that will not be collected any more.",
            |s| s.lost_time.as_secs_f64(),
        )?;
        table.gauge(
            "collection_duration_seconds",
            "How long the last call took.",
            |s| s.last_duration.map(|duration| duration.as_secs_f64()),
        )?;
        let help = "When a call last succeeded, in seconds since 1970.";
        table.gauge("collection_last_success_timestamp_seconds", help, |s| {
            s.last_success_ms.map(|ms| ms as f64 / 1000.0)
        })
    }
}

struct Table<'p> {
    page: Page<'p>,
    storages: Vec<(String, CollectStats)>,
}

impl Table<'_> {
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
