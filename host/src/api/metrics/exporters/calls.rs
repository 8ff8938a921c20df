//! The calls into an exporter's plugin, and what they brought about.

use std::fmt;

use super::{Seen, Table};
use crate::delivery::{CIRCUITS, CLASSES, LATENCY_BOUNDS, Latency};

impl Table<'_, '_> {
    pub(super) fn calls(&mut self) -> fmt::Result {
        let attempts = self.seen.iter().flat_map(|seen| {
            let classes = CLASSES.iter().zip(seen.status.attempts);
            classes.map(|(class, calls)| ([seen.label(), ("outcome", class)], calls))
        });
        let help = "Calls of `export`, by outcome.";
        self.page.counter("exporter_attempts", help, attempts)?;
        self.counter(
            "exporter_export_seconds",
            "Time spent in `export`.",
            |status| status.export_time.as_secs_f64(),
        )?;
        let latencies = self.seen.iter().map(|seen| {
            let latency = &seen.status.latency;
            ([seen.label()], latency.sum.as_secs_f64(), buckets(latency))
        });
        self.page.histogram(
            "exporter_delivery_latency_seconds",
            "Time from accepting a batch to its delivery, by call.",
            latencies,
        )?;
        self.counter(
            "exporter_splits",
            "Calls whose rows were sent again in halves.",
            |status| status.splits,
        )?;
        self.counter(
            "exporter_panics",
            "Panics caught in the plugin.",
            |status| status.panics,
        )?;
        self.counter(
            "exporter_hangs",
            "Calls that went past their deadline.",
            |status| status.hangs,
        )?;
        self.gauge(
            "exporter_left_behind_threads",
            "Threads that hang, and that nobody waits for any more.",
            |seen| seen.status.left_behind,
        )?;
        self.counter(
            "exporter_restarts",
            "Instances made after the first.",
            |status| status.restarts,
        )?;
        let succeeded = self.seen.iter().filter_map(|seen| {
            let seconds = seen.status.last_success_ms? as f64 / 1000.0;
            Some(([seen.label()], seconds))
        });
        let help = "When the exporter last delivered, in seconds since 1970.";
        self.page
            .gauge("exporter_last_success_timestamp_seconds", help, succeeded)
    }

    pub(super) fn circuit(&mut self) -> fmt::Result {
        self.gauge(
            "exporter_circuit_state",
            "What the circuit breaker lets through: 0 closed, every call; 1 half open, one; 2 open, none.",
            |seen| seen.status.circuit as u32,
        )?;
        let transitions = self.seen.iter().flat_map(|seen| {
            let circuits = CIRCUITS.iter().zip(seen.status.transitions);
            circuits.map(|(circuit, times)| ([seen.label(), ("to", circuit)], times))
        });
        let help = "Changes of the circuit breaker, by what it changed to.";
        self.page
            .counter("exporter_circuit_transitions", help, transitions)
    }

    pub(super) fn resending(&mut self) -> fmt::Result {
        let resending = |seen: &&Seen<'_>| seen.exporter.resends;
        let resent = self.seen.iter().filter(resending);
        let resent = resent.map(|seen| ([seen.label()], seen.status.resent_items));
        let help = "Active alerts that were sent again, and arrived.";
        self.page.counter("exporter_resent_items", help, resent)?;
        let failed = self.seen.iter().filter(resending);
        let failed = failed.map(|seen| ([seen.label()], seen.status.failed_resends));
        let help = "Rounds of sending active alerts again that failed.";
        self.page.counter("exporter_failed_resends", help, failed)
    }

    pub(super) fn plugin_counters(&mut self) -> fmt::Result {
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
}

fn buckets(latency: &Latency) -> Vec<(f64, u64)> {
    let bounds = LATENCY_BOUNDS.into_iter().chain([f64::INFINITY]);
    bounds.zip(latency.counts).collect()
}
