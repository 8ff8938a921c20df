//! Metrics of exporters that are no longer configured, and whose cursors are kept.

use std::fmt;

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use crate::{
    api::metrics::family::FamilyWriter,
    batch_journal::{BatchJournal, BatchJournals},
    journal::{Backlog, ReadError},
};

#[derive(Debug)]
pub(in crate::api::metrics) struct RemovedExporterCollector(
    pub(in crate::api::metrics) BatchJournals,
);

struct RemovedSample {
    exporter: String,
    kind: &'static str,
    backlog: Backlog,
}

impl Collector for RemovedExporterCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut samples = Vec::new();
        for journal in [&self.0.performance, &self.0.alerts] {
            match removed(journal) {
                Ok(found) => samples.extend(found),
                Err(error) => {
                    log::debug!(kind:% = journal.kind(); "cannot read the cursors of removed exporters for the metrics: {error}");
                }
            }
        }
        let mut page = FamilyWriter::new(encoder);
        let mut gauge = |name, help, value: fn(&Backlog) -> u64| {
            let series = samples.iter().map(|sample| {
                let labels = [("exporter", &*sample.exporter), ("kind", sample.kind)];
                (labels, value(&sample.backlog))
            });
            page.gauge(name, help, series)
        };
        gauge(
            "removed_exporter_pending_items",
            "Items that are kept for an exporter that is no longer configured.",
            |backlog| backlog.items,
        )?;
        gauge(
            "removed_exporter_pending_bytes",
            "Size of the records that are kept for an exporter that is no longer configured.",
            |backlog| backlog.bytes,
        )
    }
}

fn removed(journal: &BatchJournal) -> Result<Vec<RemovedSample>, ReadError> {
    let backend = journal.backend();
    let unused = backend.cursors()?.into_iter();
    let unused = unused.filter(|cursor| cursor.unused_since_ms.is_some());
    let sample = |exporter: String| {
        Ok(RemovedSample {
            backlog: backend.backlog(&exporter)?.unwrap_or_default(),
            kind: journal.kind().as_str(),
            exporter,
        })
    };
    unused.map(|cursor| sample(cursor.exporter)).collect()
}
