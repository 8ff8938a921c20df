//! Metrics of the calls into an exporter's plugin.

use std::fmt;

use super::{ExporterSample, ExporterTable};
use crate::delivery::{CIRCUITS, CLASSES, LATENCY_BOUNDS, Latency};

impl ExporterTable<'_, '_> {
    pub(super) fn calls(&mut self) -> fmt::Result {
        let attempts = self.samples.iter().flat_map(|sample| {
            let classes = CLASSES.iter().zip(sample.status.attempts);
            classes.map(|(class, calls)| ([sample.label(), ("outcome", class)], calls))
        });
        let help = "Calls of `export`, by outcome.";
        self.page.counter("exporter_attempts", help, attempts)?;
        self.counter(
            "exporter_export_seconds",
            "Time spent in `export`.",
            |status| status.export_time.as_secs_f64(),
        )?;
        let latencies = self.samples.iter().map(|sample| {
            let latency = &sample.status.latency;
            (
                [sample.label()],
                latency.sum.as_secs_f64(),
                buckets(latency),
            )
        });
        self.page.histogram(
            "exporter_delivery_latency_seconds",
            "Time from the acceptance of a batch to its delivery, per call.",
            latencies,
        )?;
        self.counter(
            "exporter_splits",
            "Requests that were split in half and sent again.",
            |status| status.splits,
        )?;
        self.counter(
            "exporter_panics",
            "Panics caught in the plugin.",
            |status| status.panics,
        )?;
        self.counter("exporter_hangs", "Calls past their deadline.", |status| {
            status.hangs
        })?;
        self.gauge(
            "exporter_abandoned_threads",
            "Threads that hang in a call and were abandoned.",
            |sample| sample.status.abandoned_threads,
        )?;
        let restarts = self.samples.iter().flat_map(|sample| {
            let reasons = sample.status.restarts.by_reason();
            reasons.map(|(reason, times)| ([sample.label(), ("reason", reason)], times))
        });
        let help = "Instances that replaced another one, by how that one ended.";
        self.page.counter("exporter_restarts", help, restarts)?;
        let succeeded = self.samples.iter().filter_map(|sample| {
            let seconds = sample.status.last_success_ms? as f64 / 1000.0;
            Some(([sample.label()], seconds))
        });
        let help = "Time of the last delivery, in seconds since the Unix epoch.";
        self.page
            .gauge("exporter_last_success_timestamp_seconds", help, succeeded)
    }

    pub(super) fn circuit(&mut self) -> fmt::Result {
        self.gauge(
            "exporter_circuit_state",
            "State of the circuit breaker: 0 closed, every call passes; 1 half open, one call passes; 2 open, no call passes.",
            |sample| sample.status.circuit as u32,
        )?;
        let transitions = self.samples.iter().flat_map(|sample| {
            let circuits = CIRCUITS.iter().zip(sample.status.transitions);
            circuits.map(|(circuit, times)| ([sample.label(), ("to", circuit)], times))
        });
        let help = "Changes of the circuit breaker, by new state.";
        self.page
            .counter("exporter_circuit_transitions", help, transitions)
    }

    pub(super) fn resending(&mut self) -> fmt::Result {
        let resending = |sample: &&ExporterSample<'_>| sample.exporter.resends;
        let resent = self.samples.iter().filter(resending);
        let resent = resent.map(|sample| ([sample.label()], sample.status.resent_items));
        let help = "Active alerts that were resent and delivered.";
        self.page.counter("exporter_resent_items", help, resent)?;
        let failed = self.samples.iter().filter(resending);
        let failed = failed.map(|sample| ([sample.label()], sample.status.failed_resends));
        let help = "Resends of the active alerts that failed.";
        self.page.counter("exporter_failed_resends", help, failed)
    }

    pub(super) fn plugin_counters(&mut self) -> fmt::Result {
        let counters = self.samples.iter().flat_map(|sample| {
            let counters = sample.plugin_counters.iter();
            counters.map(|(name, value)| ([sample.label(), ("counter", name.as_str())], *value))
        });
        self.page.counter(
            "exporter_plugin_counter",
            "Counters of the plugin, by the name that it gives them.",
            counters,
        )
    }
}

fn buckets(latency: &Latency) -> Vec<(f64, u64)> {
    let bounds = LATENCY_BOUNDS.into_iter().chain([f64::INFINITY]);
    bounds.zip(latency.counts).collect()
}
