//! What tests deliver.

use std::sync::Arc;

use delfin_plugin_api::{Kind, Origin, sample};

use super::DeliveryParts;
use crate::{
    batch::NewBatch,
    batch_journal::BatchJournal,
    config::{self, Source},
    journal::{self, JournalLimits, StartFrom},
    memory::MemoryBudget,
};

/// An exporter in a process, with these settings, and so many batches of a row.
pub(super) async fn parts(
    folder: &tempfile::TempDir,
    settings: &str,
    batches: usize,
) -> (DeliveryParts, Arc<BatchJournal>) {
    let journals = journal::open(folder.path(), &JournalLimits::unlimited()).unwrap();
    let memory = MemoryBudget::new(u64::MAX);
    let journal = BatchJournal::new(Kind::Performance, journals.performance.clone(), &memory);
    let journal = Arc::new(journal);
    let text = format!(
        "performance_exporters = [\"e\"]\n[exporter.e]\nplugin = \"P\"\nisolation = \"process\"\n{settings}"
    );
    let mut config = config::parse(&text, &Source::Embedded).unwrap();
    let config = config.exporters.remove(0);
    let cursor = journal.backend().open_cursor("e", StartFrom::Now).await;
    for _ in 0..batches {
        accept(&journal).await;
    }
    let parts = DeliveryParts::without_plugin(config, &journal, cursor.unwrap(), folder.path());
    (parts, journal)
}

/// Accepts a batch of a row.
pub(super) async fn accept(journal: &BatchJournal) {
    let batch = NewBatch {
        rows: sample::performance(1, 1).into(),
        origin: Origin::Ingest,
        storage_id: None,
        complete: false,
    };
    journal.accept(batch, None).await.unwrap();
}
