//! What waits for an exporter, and what became of the rest.

use std::{collections::BTreeMap, fmt};

use super::{Held, Seen, Table};
use crate::{api::exporters::lag, clock::now_ms, delivery::LIMITS};

impl Table<'_, '_> {
    pub(super) fn waiting(&mut self) -> fmt::Result {
        self.held_gauge(
            "exporter_pending_items",
            "Items that wait for the exporter.",
            |_, held| held.counts.pending,
        )?;
        self.held_gauge(
            "exporter_pending_bytes",
            "Bytes of the journal that are held for the exporter.",
            |_, held| held.backlog.bytes,
        )?;
        self.gauge(
            "exporter_capacity_bytes",
            "Bytes that may wait for the exporter.",
            |seen| seen.exporter.max_bytes,
        )?;
        self.gauge(
            "exporter_time_to_full_seconds",
            "When that much waits, going by the last minutes; +Inf if never.",
            time_to_full_seconds,
        )?;
        self.held_gauge(
            "exporter_lag_seconds",
            "How long ago the oldest batch that waits was accepted.",
            lag_seconds,
        )
    }

    pub(super) fn items(&mut self) -> fmt::Result {
        self.held_gauge(
            "exporter_unaccounted_items",
            "Accepted items that nothing became of and that do not wait: must be 0.",
            |_, held| held.counts.unaccounted(),
        )?;
        self.held_counter(
            "exporter_accepted_items",
            "Items accepted for the exporter.",
            |counts| counts.accepted,
        )?;
        self.held_counter(
            "exporter_replayed_items",
            "Accepted items that were asked for once more.",
            |counts| counts.replayed,
        )?;
        self.held_counter(
            "exporter_delivered_items",
            "Items that the receiver has.",
            |counts| counts.delivered,
        )?;
        self.held_counter(
            "exporter_dead_lettered_items",
            "Items that the receiver will never take.",
            |counts| counts.dead_lettered,
        )?;
        self.held_counter(
            "exporter_filtered_items",
            "Items that a filter keeps from the exporter.",
            |counts| counts.filtered,
        )?;
        let dropped = self.seen.iter().flat_map(|seen| {
            let dropped = seen.held.iter().flat_map(dropped);
            dropped.map(|(reason, items)| ([seen.label(), ("reason", reason)], items))
        });
        let help = "Items that a limit cost, by limit.";
        self.page.counter("exporter_dropped_items", help, dropped)
    }

    pub(super) fn letters(&mut self) -> fmt::Result {
        self.held_gauge(
            "exporter_dead_letters",
            "Dead letters that are kept.",
            |_, held| held.letters.dead_letters,
        )?;
        self.held_gauge(
            "exporter_dead_letter_items",
            "Items in the dead letters that are kept.",
            |_, held| held.letters.items,
        )?;
        self.held_gauge(
            "exporter_dead_letter_bytes",
            "Bytes that the dead letters kept take.",
            |_, held| held.letters.bytes,
        )
    }
}

/// By reason; those that have cost nothing yet are there too: a rate needs two
/// points.
fn dropped(held: &Held) -> BTreeMap<&str, u64> {
    let mut dropped = BTreeMap::from(LIMITS.map(|limit| (limit, 0)));
    let cost = &held.counts.dropped;
    dropped.extend(cost.iter().map(|cost| (cost.limit.as_str(), cost.items)));
    dropped
}

fn time_to_full_seconds(seen: &Seen<'_>) -> f64 {
    let left = seen.status.growth.time_to(seen.exporter.max_bytes);
    left.map_or(f64::INFINITY, |left| left.as_secs_f64())
}

fn lag_seconds(seen: &Seen<'_>, held: &Held) -> f64 {
    let pending = held.counts.pending.max(0).cast_unsigned();
    lag(pending, seen.status.oldest_pending_ms, now_ms()).as_secs_f64()
}
