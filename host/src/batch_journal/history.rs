//! Reads the batches of one storage backwards, the newest first.

use std::sync::Arc;

use super::{BatchJournal, ReadForm};
use crate::{
    batch::{ReadBatch, Seq},
    journal::ReadError,
};

/// Records that are looked at in one query, so that no query takes long.
const RECORDS_PER_QUERY: u64 = 5_000;

/// The batches of one storage, and those of more than one storage, the newest first. Damaged
/// records are left out. Blocks while the journal is read.
pub struct StorageHistory<'j> {
    journal: &'j BatchJournal,
    storage_id: &'j str,
    oldest: Seq,
    /// The next record to look at.
    next: Seq,
}

impl BatchJournal {
    /// The batches of one storage from a record on.
    #[must_use]
    pub fn history<'j>(&'j self, storage_id: &'j str, oldest: Seq) -> StorageHistory<'j> {
        StorageHistory {
            journal: self,
            storage_id,
            oldest,
            next: *self.backend.head().borrow(),
        }
    }
}

impl Iterator for StorageHistory<'_> {
    type Item = Result<ReadBatch, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next >= self.oldest && self.next > Seq(0) {
            let first = self.next.0.saturating_sub(RECORDS_PER_QUERY - 1);
            let first = Seq(first).max(self.oldest);
            let backend = &self.journal.backend;
            let record = match backend.read_back(first..=self.next, self.storage_id) {
                Ok(record) => record,
                Err(error) => return Some(Err(error)),
            };
            let Some(record) = record else {
                self.next = Seq(first.0.saturating_sub(1));
                continue;
            };
            self.next = Seq(record.seq.0.saturating_sub(1));
            if let Some(cached) = self.journal.cached(record.seq) {
                return Some(Ok(cached));
            }
            // Exporters rarely need it, so it is not kept for them.
            if let Ok(batch) = self
                .journal
                .decode_record(&record, ReadForm::Rows, &mut None)
            {
                return Some(Ok(ReadBatch::new(Arc::new(batch))));
            }
        }
        None
    }
}
