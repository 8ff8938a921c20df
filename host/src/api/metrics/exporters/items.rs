//! Metrics of the items of an exporter: pending, delivered, dead-lettered and so on.

use std::{collections::BTreeMap, fmt};

use super::{ExporterSample, ExporterTable, JournalSample};
use crate::delivery::LIMITS;

impl ExporterTable<'_, '_> {
    pub(super) fn pending(&mut self) -> fmt::Result {
        self.journal_gauge(
            "exporter_pending_items",
            "Items that are not delivered yet.",
            |_, journal| journal.counts.pending,
        )?;
        self.journal_gauge(
            "exporter_pending_bytes",
            "Size of the records that the exporter has not committed.",
            |_, journal| journal.backlog.bytes,
        )?;
        self.gauge(
            "exporter_capacity_bytes",
            "Maximum size of the records that the exporter has not committed.",
            |sample| sample.exporter.max_bytes,
        )?;
        self.gauge(
            "exporter_time_to_full_seconds",
            "Seconds until the queue is full at the current rate; +Inf if it is not filling.",
            time_to_full_seconds,
        )?;
        self.journal_gauge(
            "exporter_lag_seconds",
            "Age of the oldest pending batch; 0 if none is pending.",
            lag_seconds,
        )
    }

    pub(super) fn items(&mut self) -> fmt::Result {
        self.journal_gauge(
            "exporter_unaccounted_items",
            "Accepted items that are neither pending, delivered, dead-lettered, dropped nor filtered. Must be 0.",
            |_, journal| journal.counts.unaccounted(),
        )?;
        self.journal_counter(
            "exporter_accepted_items",
            "Items accepted for the exporter.",
            |counts| counts.accepted,
        )?;
        self.journal_counter(
            "exporter_replayed_items",
            "Items that were replayed; they count as accepted again.",
            |counts| counts.replayed,
        )?;
        self.journal_counter(
            "exporter_delivered_items",
            "Items that the receiver has.",
            |counts| counts.delivered,
        )?;
        self.journal_counter(
            "exporter_dead_lettered_items",
            "Items that became dead letters.",
            |counts| counts.dead_lettered,
        )?;
        self.journal_counter(
            "exporter_filtered_items",
            "Items that the filter of the exporter leaves out, and alerts that ended before they could be sent.",
            |counts| counts.filtered,
        )?;
        let dropped = self.samples.iter().flat_map(|sample| {
            let dropped = sample.journal.iter().flat_map(dropped);
            dropped.map(|(reason, items)| ([sample.label(), ("reason", reason)], items))
        });
        let help = "Items that a limit dropped, by limit.";
        self.page.counter("exporter_dropped_items", help, dropped)
    }

    pub(super) fn dead_letters(&mut self) -> fmt::Result {
        self.journal_gauge(
            "exporter_dead_letters",
            "Dead letters in the journal.",
            |_, journal| journal.dead_letters.dead_letters,
        )?;
        self.journal_gauge(
            "exporter_dead_letter_items",
            "Items in the dead letters.",
            |_, journal| journal.dead_letters.items,
        )?;
        self.journal_gauge(
            "exporter_dead_letter_bytes",
            "Size of the dead letters.",
            |_, journal| journal.dead_letters.bytes,
        )
    }
}

/// Dropped items by limit. Limits that dropped nothing are 0 and not absent: a rate needs
/// two points.
fn dropped(journal: &JournalSample) -> BTreeMap<&str, u64> {
    let mut dropped = BTreeMap::from(LIMITS.map(|limit| (limit, 0)));
    let counts = &journal.counts.dropped;
    dropped.extend(
        counts
            .iter()
            .map(|count| (count.limit.as_str(), count.items)),
    );
    dropped
}

fn time_to_full_seconds(sample: &ExporterSample<'_>) -> f64 {
    let left = sample.status.fill_rate.time_to(sample.exporter.max_bytes);
    left.map_or(f64::INFINITY, |left| left.as_secs_f64())
}

fn lag_seconds(sample: &ExporterSample<'_>, journal: &JournalSample) -> f64 {
    let pending = journal.counts.pending.max(0).cast_unsigned();
    sample.exporter.lag(pending).as_secs_f64()
}
