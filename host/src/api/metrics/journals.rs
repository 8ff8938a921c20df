//! Metrics of the journals.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue},
};

use super::family::FamilyWriter;
use crate::{
    batch::PayloadStats,
    batch_journal::{BatchJournal, BatchJournals},
    journal::JournalStats,
};

#[derive(Debug)]
pub(super) struct JournalCollector(pub(super) BatchJournals);

impl Collector for JournalCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let journals = [&self.0.performance, &self.0.alerts].into_iter();
        let clock = self.0.performance.clock();
        let age_seconds = |oldest_ms| clock.age(oldest_ms).as_secs_f64();
        let mut page = JournalTable {
            page: FamilyWriter::new(encoder),
            journals: journals
                .clone()
                .filter_map(|journal| read(journal))
                .collect(),
        };
        page.gauge("journal_bytes", "Size of the records.", |s| Some(s.bytes))?;
        page.gauge(
            "journal_needed_bytes",
            "Size of the records that some exporter has not committed.",
            |s| Some(s.needed_bytes),
        )?;
        page.gauge(
            "journal_capacity_bytes",
            "Maximum size of the records.",
            |s| Some(s.max_bytes),
        )?;
        page.gauge("journal_file_bytes", "Size of the journal's file.", |s| {
            Some(s.file_bytes)
        })?;
        page.gauge("journal_records", "Records.", |s| Some(s.records))?;
        page.gauge(
            "journal_free_disk_bytes",
            "Free space on the journal's disk.",
            |s| s.free_disk_bytes,
        )?;
        page.gauge(
            "journal_oldest_record_age_seconds",
            "Age of the oldest record; 0 without records.",
            |s| Some(s.oldest_accepted_ms.map_or(0.0, age_seconds)),
        )?;
        page.counter(
            "journal_commits",
            "Transactions, each synced to the disk.",
            |s| s.transactions,
        )?;
        page.counter(
            "journal_commit_seconds",
            "Time spent in transactions.",
            |s| s.transaction_time.as_secs_f64(),
        )?;
        page.counter("journal_write_errors", "Transactions that failed.", |s| {
            s.failed_transactions
        })?;
        page.counter("journal_appended_batches", "Batches made durable.", |s| {
            s.appended
        })?;
        page.counter(
            "journal_refused_batches",
            "Batches refused because the journal or its disk was full.",
            |s| s.refused,
        )?;
        page.counter(
            "journal_pruned_batches",
            "Records deleted after every exporter had committed them, or because of a limit.",
            |s| s.pruned,
        )?;
        page.counter(
            "journal_lost_items",
            "Accepted items that were lost with a damaged or missing file before every exporter had committed them.",
            |s| s.lost,
        )?;
        let payloads = journals.map(|journal| (journal.kind().as_str(), journal.payload_stats()));
        page.payloads(&payloads.collect::<Vec<_>>())
    }
}

struct JournalTable<'p> {
    page: FamilyWriter<'p>,
    journals: Vec<(&'static str, JournalStats)>,
}

impl JournalTable<'_> {
    fn payloads(&mut self, payloads: &[(&'static str, PayloadStats)]) -> fmt::Result {
        let encoded = payloads.iter().flat_map(|(kind, stats)| {
            let of = [
                ("batch", stats.encoded_batches),
                ("request", stats.encoded_requests),
            ];
            of.map(|(of, times)| ([("kind", *kind), ("of", of)], times))
        });
        let help =
            "Encodings for processes of exporters: of a batch for all of them, or of one request.";
        self.page
            .counter("journal_encoded_payloads", help, encoded)?;
        let bytes = payloads.iter();
        let bytes = bytes.map(|(kind, stats)| ([("kind", *kind)], stats.bytes));
        let help = "Size of the encoded batches that processes of exporters share.";
        self.page.gauge("journal_payload_bytes", help, bytes)
    }

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
