//! How each exporter fares, and what became of its items.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue},
};

use super::page::Page;
use crate::{
    api::exporters::lag,
    clock::now_ms,
    delivery::{CLASSES, Exporter, Exporters, State, StatusView},
    journal::Counts,
};

/// Asks each exporter.
#[derive(Debug)]
pub(super) struct Running(pub(super) Exporters);

impl Collector for Running {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let exporters = self.0.list();
        let mut table = Table {
            page: Page::new(encoder),
            seen: exporters.iter().map(Seen::now).collect(),
        };
        table.identity()?;
        table.items()?;
        table.calls()?;
        table.plugin_counters()
    }
}

/// An exporter at the moment of a scrape.
struct Seen<'a> {
    exporter: &'a Exporter,
    status: StatusView,
    /// Nothing if the journal cannot be read now.
    counts: Option<Counts>,
    plugin_counters: Vec<(String, u64)>,
}

impl<'a> Seen<'a> {
    fn now(exporter: &'a Exporter) -> Self {
        let counts = exporter.counts().inspect_err(|error| {
            log::debug!(exporter = exporter.name; "no metrics of its items: {error}");
        });
        Self {
            exporter,
            status: exporter.status.view(),
            counts: counts.ok(),
            plugin_counters: exporter.counters.values(),
        }
    }

    fn label(&self) -> (&'static str, &'a str) {
        ("exporter", &self.exporter.name)
    }

    fn lag_seconds(&self, counts: &Counts) -> f64 {
        let pending = counts.pending.max(0).cast_unsigned();
        lag(pending, self.status.oldest_pending_ms, now_ms()).as_secs_f64()
    }
}

struct Table<'p, 'a> {
    page: Page<'p>,
    seen: Vec<Seen<'a>>,
}

impl Table<'_, '_> {
    fn identity(&mut self) -> fmt::Result {
        let info = self.seen.iter().map(|seen| {
            let Exporter {
                plugin,
                plugin_version,
                kind,
                ..
            } = seen.exporter;
            let version = plugin_version.as_deref().unwrap_or_default();
            [
                seen.label(),
                ("plugin", plugin.as_str()),
                ("version", version),
                ("lane", kind.as_str()),
            ]
        });
        self.page.info("exporter", "What each exporter is.", info)?;
        let states = self.seen.iter().flat_map(|seen| {
            State::ALL.map(|state| {
                let labels = [seen.label(), ("state", state.as_str())];
                (labels, u32::from(seen.status.state == state))
            })
        });
        self.page.gauge(
            "exporter_state",
            "1 for the state that the exporter is in.",
            states,
        )
    }

    fn items(&mut self) -> fmt::Result {
        self.of_counts(
            "exporter_pending_items",
            "Items that wait for the exporter.",
            |_, c| c.pending,
        )?;
        self.of_counts(
            "exporter_lag_seconds",
            "How long ago the oldest batch that waits was accepted.",
            |seen, c| seen.lag_seconds(c),
        )?;
        self.of_counts(
            "exporter_unaccounted_items",
            "Accepted items that nothing became of and that do not wait: must be 0.",
            |_, c| c.unaccounted(),
        )?;
        self.count_items(
            "exporter_accepted_items",
            "Items accepted for the exporter.",
            |c| c.accepted,
        )?;
        self.count_items(
            "exporter_replayed_items",
            "Accepted items that were asked for once more.",
            |c| c.replayed,
        )?;
        self.count_items(
            "exporter_delivered_items",
            "Items that the receiver has.",
            |c| c.delivered,
        )?;
        self.count_items(
            "exporter_dead_lettered_items",
            "Items that the receiver will never take.",
            |c| c.dead_lettered,
        )?;
        self.count_items(
            "exporter_filtered_items",
            "Items that a filter keeps from the exporter.",
            |c| c.filtered,
        )?;
        let dropped = self.seen.iter().flat_map(|seen| {
            let dropped = seen.counts.iter().flat_map(|counts| &counts.dropped);
            dropped.map(|d| ([seen.label(), ("reason", d.limit.as_str())], d.items))
        });
        let help = "Items that a limit cost, by limit.";
        self.page.counter("exporter_dropped_items", help, dropped)
    }

    fn calls(&mut self) -> fmt::Result {
        let attempts = self.seen.iter().flat_map(|seen| {
            let classes = CLASSES.iter().zip(seen.status.attempts);
            classes.map(|(class, calls)| ([seen.label(), ("outcome", class)], calls))
        });
        self.page.counter(
            "exporter_attempts",
            "Calls of `export`, by outcome.",
            attempts,
        )?;
        self.count("exporter_export_seconds", "Time spent in `export`.", |s| {
            s.export_time.as_secs_f64()
        })?;
        self.count("exporter_panics", "Panics caught in the plugin.", |s| {
            s.panics
        })?;
        self.count(
            "exporter_hangs",
            "Calls that went past their deadline.",
            |s| s.hangs,
        )?;
        self.count(
            "exporter_restarts",
            "Instances made after the first.",
            |s| s.restarts,
        )?;
        let resending = |seen: &&Seen<'_>| seen.exporter.resends;
        let resent = self.seen.iter().filter(resending);
        let resent = resent.map(|seen| ([seen.label()], seen.status.resent_items));
        let help = "Active alerts that were sent again, and arrived.";
        self.page.counter("exporter_resent_items", help, resent)?;
        let failed = self.seen.iter().filter(resending);
        let failed = failed.map(|seen| ([seen.label()], seen.status.failed_resends));
        let help = "Rounds of sending active alerts again that failed.";
        self.page.counter("exporter_failed_resends", help, failed)?;
        let succeeded = self.seen.iter().filter_map(|seen| {
            let seconds = seen.status.last_success_ms? as f64 / 1000.0;
            Some(([seen.label()], seconds))
        });
        let help = "When the exporter last delivered, in seconds since 1970.";
        self.page
            .gauge("exporter_last_success_timestamp_seconds", help, succeeded)
    }

    fn plugin_counters(&mut self) -> fmt::Result {
        let counters = self.seen.iter().flat_map(|seen| {
            let counters = seen.plugin_counters.iter();
            counters.map(|(name, value)| ([seen.label(), ("counter", name.as_str())], *value))
        });
        self.page.counter(
            "exporter_plugin_counter",
            "What the plugin itself counts, by its name for it.",
            counters,
        )
    }

    fn of_counts<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&Seen<'_>, &Counts) -> V,
    ) -> fmt::Result {
        let series = self.seen.iter().filter_map(|seen| {
            let counts = seen.counts.as_ref()?;
            Some(([seen.label()], value(seen, counts)))
        });
        self.page.gauge(name, help, series)
    }

    fn count_items(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&Counts) -> u64,
    ) -> fmt::Result {
        let series = self.seen.iter().filter_map(|seen| {
            let counts = seen.counts.as_ref()?;
            Some(([seen.label()], value(counts)))
        });
        self.page.counter(name, help, series)
    }

    fn count<V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&StatusView) -> V,
    ) -> fmt::Result {
        let series = self
            .seen
            .iter()
            .map(|seen| ([seen.label()], value(&seen.status)));
        self.page.counter(name, help, series)
    }
}
