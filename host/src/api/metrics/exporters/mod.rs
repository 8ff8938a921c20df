//! How each exporter fares, and what became of its items.

mod calls;
mod items;

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue},
};

use super::page::Page;
use crate::{
    delivery::{ExporterHandle, State, StatusView},
    exporters::ExporterSet,
    journal::{Backlog, DeadLetterCount, ItemCounts, ReadError},
};

/// Asks each exporter.
#[derive(Debug)]
pub(super) struct Running(pub(super) ExporterSet);

impl Collector for Running {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let exporters = self.0.list();
        let mut table = Table {
            page: Page::new(encoder),
            seen: exporters.iter().map(Seen::now).collect(),
        };
        table.identity()?;
        table.waiting()?;
        table.items()?;
        table.letters()?;
        table.calls()?;
        table.circuit()?;
        table.resending()?;
        table.plugin_counters()
    }
}

/// An exporter at the moment of a scrape.
struct Seen<'a> {
    exporter: &'a ExporterHandle,
    status: StatusView,
    /// Nothing if the journal cannot be read now.
    held: Option<Held>,
    plugin_counters: Vec<(String, u64)>,
}

/// What the journal knows of an exporter.
struct Held {
    counts: ItemCounts,
    backlog: Backlog,
    letters: DeadLetterCount,
}

impl Held {
    fn of(exporter: &ExporterHandle) -> Result<Self, ReadError> {
        Ok(Self {
            counts: exporter.counts()?,
            backlog: exporter.backlog()?,
            letters: exporter.dead_letters()?,
        })
    }
}

impl<'a> Seen<'a> {
    fn now(exporter: &'a ExporterHandle) -> Self {
        let held = Held::of(exporter).inspect_err(|error| {
            log::debug!(exporter = exporter.name; "no metrics of its items: {error}");
        });
        Self {
            exporter,
            status: exporter.status.view(),
            held: held.ok(),
            plugin_counters: exporter.counters.values(),
        }
    }

    fn label(&self) -> (&'static str, &'a str) {
        ("exporter", &self.exporter.name)
    }
}

struct Table<'p, 'a> {
    page: Page<'p>,
    seen: Vec<Seen<'a>>,
}

impl Table<'_, '_> {
    fn identity(&mut self) -> fmt::Result {
        let info = self.seen.iter().map(|seen| {
            let ExporterHandle {
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
                ("kind", kind.as_str()),
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

    fn gauge<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&Seen<'_>) -> V,
    ) -> fmt::Result {
        let series = self.seen.iter();
        let series = series.map(|seen| ([seen.label()], value(seen)));
        self.page.gauge(name, help, series)
    }

    fn counter<V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&StatusView) -> V,
    ) -> fmt::Result {
        let series = self.seen.iter();
        let series = series.map(|seen| ([seen.label()], value(&seen.status)));
        self.page.counter(name, help, series)
    }

    fn held_gauge<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&Seen<'_>, &Held) -> V,
    ) -> fmt::Result {
        let series = self.seen.iter().filter_map(|seen| {
            let held = seen.held.as_ref()?;
            Some(([seen.label()], value(seen, held)))
        });
        self.page.gauge(name, help, series)
    }

    fn held_counter(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&ItemCounts) -> u64,
    ) -> fmt::Result {
        let series = self.seen.iter().filter_map(|seen| {
            let held = seen.held.as_ref()?;
            Some(([seen.label()], value(&held.counts)))
        });
        self.page.counter(name, help, series)
    }
}
