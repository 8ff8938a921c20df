//! Metrics of the exporters.

mod calls;
mod items;
mod removed;

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue},
};

pub(super) use removed::RemovedExporterCollector;

use super::family::FamilyWriter;
use crate::{
    delivery::{ExporterHandle, State, StatusView},
    exporters::ExporterSet,
    journal::{Backlog, DeadLetterCount, ItemCounts, ReadError},
    plugin::ProcessUsage,
};

#[derive(Debug)]
pub(super) struct ExporterCollector(pub(super) ExporterSet);

impl Collector for ExporterCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let exporters = self.0.list();
        let mut table = ExporterTable {
            page: FamilyWriter::new(encoder),
            samples: exporters.iter().map(ExporterSample::now).collect(),
        };
        table.identity()?;
        table.pending()?;
        table.items()?;
        table.dead_letters()?;
        table.calls()?;
        table.circuit()?;
        table.process()?;
        table.resending()?;
        table.plugin_counters()
    }
}

/// An exporter at the moment of a scrape.
struct ExporterSample<'a> {
    exporter: &'a ExporterHandle,
    status: StatusView,
    /// `None` if the journal cannot be read now.
    journal: Option<JournalSample>,
    plugin_counters: Vec<(String, u64)>,
    /// `None` if it has no process now.
    process: Option<ProcessUsage>,
}

/// What the journal has of an exporter.
struct JournalSample {
    counts: ItemCounts,
    backlog: Backlog,
    dead_letters: DeadLetterCount,
}

impl JournalSample {
    fn of(exporter: &ExporterHandle) -> Result<Self, ReadError> {
        Ok(Self {
            counts: exporter.counts()?,
            backlog: exporter.backlog()?,
            dead_letters: exporter.dead_letters()?,
        })
    }
}

impl<'a> ExporterSample<'a> {
    fn now(exporter: &'a ExporterHandle) -> Self {
        let journal = JournalSample::of(exporter).inspect_err(|error| {
            log::debug!(exporter = exporter.name; "cannot read the counts of an exporter for its metrics: {error}");
        });
        Self {
            exporter,
            status: exporter.status.view(),
            journal: journal.ok(),
            plugin_counters: exporter.counters.values(),
            process: exporter.process.usage(),
        }
    }

    fn label(&self) -> (&'static str, &'a str) {
        ("exporter", &self.exporter.name)
    }
}

struct ExporterTable<'p, 'a> {
    page: FamilyWriter<'p>,
    samples: Vec<ExporterSample<'a>>,
}

impl ExporterTable<'_, '_> {
    fn identity(&mut self) -> fmt::Result {
        let info = self.samples.iter().map(|sample| {
            let ExporterHandle {
                plugin,
                plugin_version,
                kind,
                isolation,
                ..
            } = sample.exporter;
            let version = plugin_version.as_deref().unwrap_or_default();
            [
                sample.label(),
                ("plugin", plugin.as_str()),
                ("version", version),
                ("kind", kind.as_str()),
                ("isolation", isolation.as_str()),
            ]
        });
        self.page.info(
            "exporter",
            "Plugin, version, kind and isolation of each exporter.",
            info,
        )?;
        let states = self.samples.iter().flat_map(|sample| {
            State::ALL.map(|state| {
                let labels = [sample.label(), ("state", state.as_str())];
                (labels, u32::from(sample.status.state == state))
            })
        });
        self.page.gauge(
            "exporter_state",
            "1 for the state of the exporter, 0 for the others.",
            states,
        )
    }

    fn process(&mut self) -> fmt::Result {
        let processes = self.samples.iter();
        let processes = processes.filter_map(|sample| Some((sample.label(), sample.process?)));
        let cpu = processes
            .clone()
            .map(|(label, process)| ([label], process.cpu_seconds));
        let help = "CPU time used by the process of the exporter.";
        self.page
            .counter("exporter_process_cpu_seconds", help, cpu)?;
        let memory = processes.map(|(label, process)| ([label], process.resident_bytes));
        let help = "Resident memory of the process of the exporter.";
        self.page
            .gauge("exporter_process_resident_memory_bytes", help, memory)
    }

    fn gauge<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&ExporterSample<'_>) -> V,
    ) -> fmt::Result {
        let series = self.samples.iter();
        let series = series.map(|sample| ([sample.label()], value(sample)));
        self.page.gauge(name, help, series)
    }

    fn counter<V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&StatusView) -> V,
    ) -> fmt::Result {
        let series = self.samples.iter();
        let series = series.map(|sample| ([sample.label()], value(&sample.status)));
        self.page.counter(name, help, series)
    }

    fn journal_gauge<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&ExporterSample<'_>, &JournalSample) -> V,
    ) -> fmt::Result {
        let series = self.samples.iter().filter_map(|sample| {
            let journal = sample.journal.as_ref()?;
            Some(([sample.label()], value(sample, journal)))
        });
        self.page.gauge(name, help, series)
    }

    fn journal_counter(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&ItemCounts) -> u64,
    ) -> fmt::Result {
        let series = self.samples.iter().filter_map(|sample| {
            let journal = sample.journal.as_ref()?;
            Some(([sample.label()], value(&journal.counts)))
        });
        self.page.counter(name, help, series)
    }
}
