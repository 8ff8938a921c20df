//! What the journals hold, and what they have done.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue},
};

use super::page::Page;
use crate::{
    batch_journal::{BatchJournal, BatchJournals},
    clock::now_ms,
    journal::JournalStats,
};

/// Asks each journal's journal.
#[derive(Debug)]
pub(super) struct Journals(pub(super) BatchJournals);

impl Collector for Journals {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let journals = [&self.0.performance, &self.0.alerts].into_iter();
        let mut page = Table {
            page: Page::new(encoder),
            journals: journals.filter_map(|journal| read(journal)).collect(),
        };
        page.gauge("journal_bytes", "Bytes that the records held take.", |s| {
            Some(s.bytes)
        })?;
        page.gauge(
            "journal_needed_bytes",
            "Of these, those of batches that an exporter has still before it.",
            |s| Some(s.needed_bytes),
        )?;
        page.gauge("journal_capacity_bytes", "Bytes that they may take.", |s| {
            Some(s.max_bytes)
        })?;
        page.gauge("journal_file_bytes", "Size of the journal's file.", |s| {
            Some(s.file_bytes)
        })?;
        page.gauge("journal_records", "Batches held.", |s| Some(s.records))?;
        page.gauge(
            "journal_free_disk_bytes",
            "What is free on the journal's disk.",
            |s| s.free_disk_bytes,
        )?;
        page.gauge(
            "journal_oldest_record_age_seconds",
            "How long ago the oldest batch held was accepted; 0 if none is.",
            |s| Some(age_seconds(s)),
        )?;
        page.counter(
            "journal_commits",
            "Commits, each of them synced to the disk.",
            |s| s.transactions,
        )?;
        page.counter("journal_commit_seconds", "Time that commits took.", |s| {
            s.transaction_time.as_secs_f64()
        })?;
        page.counter("journal_write_errors", "Commits that failed.", |s| {
            s.failed_transactions
        })?;
        page.counter("journal_appended_batches", "Batches made durable.", |s| {
            s.appended
        })?;
        page.counter(
            "journal_refused_batches",
            "Batches refused for want of room.",
            |s| s.refused,
        )?;
        page.counter(
            "journal_pruned_batches",
            "Batches deleted after their last exporter.",
            |s| s.pruned,
        )
    }
}

struct Table<'p> {
    page: Page<'p>,
    journals: Vec<(&'static str, JournalStats)>,
}

impl Table<'_> {
    fn gauge<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&JournalStats) -> Option<V>,
    ) -> fmt::Result {
        let journals = self.journals.iter();
        let series = journals.filter_map(|(kind, stats)| Some(([("kind", *kind)], value(stats)?)));
        self.page.gauge(name, help, series)
    }

    fn counter<V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&JournalStats) -> V,
    ) -> fmt::Result {
        let journals = self.journals.iter();
        let series = journals.map(|(kind, stats)| ([("kind", *kind)], value(stats)));
        self.page.counter(name, help, series)
    }
}

fn read(journal: &BatchJournal) -> Option<(&'static str, JournalStats)> {
    let stats = journal.backend().stats().inspect_err(|error| {
        log::debug!(kind:% = journal.kind(); "cannot read the metrics of a journal: {error}");
    });
    Some((journal.kind().as_str(), stats.ok()?))
}

fn age_seconds(stats: &JournalStats) -> f64 {
    let age_ms = stats
        .oldest_accepted_ms
        .map_or(0, |oldest| now_ms() - oldest);
    age_ms.max(0) as f64 / 1000.0
}
