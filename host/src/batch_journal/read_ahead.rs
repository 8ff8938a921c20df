//! Batches that are read and decoded before their exporter asks for them.
//!
//! An exporter with a backlog makes one call after the other. While a call runs, the next
//! batches are read on another thread.

use std::{collections::VecDeque, sync::Arc};

use tokio::task::JoinHandle;

use super::{BatchJournal, MAX_DECODED_BYTES, ReadForm, ReadResult, task_failed};
use crate::{batch::Seq, journal::ReadError, panics};

/// With fewer batches left, and less memory of them, the next ones are read.
const LOW: usize = 64;
const LOW_BYTES: u64 = MAX_DECODED_BYTES;

/// What was read for one cursor.
pub(super) struct ReadAhead {
    form: ReadForm,
    /// `found` has every record from here up to its last one.
    from: Seq,
    found: VecDeque<(Seq, ReadResult)>,
    /// Reads the records that follow.
    reading: Option<JoinHandle<BatchesRead>>,
}

pub(super) type BatchesRead = Result<VecDeque<(Seq, ReadResult)>, ReadError>;

impl ReadAhead {
    pub(super) fn new(form: ReadForm) -> Self {
        Self {
            form,
            from: Seq::default(),
            found: VecDeque::new(),
            reading: None,
        }
    }

    /// The first batch at or after a sequence number. Safe to cancel.
    pub(super) async fn next(
        &mut self,
        journal: &Arc<BatchJournal>,
        from: Seq,
    ) -> Result<ReadResult, ReadError> {
        loop {
            if let Some(found) = self.take(from) {
                self.start(journal, from);
                return Ok(found);
            }
            let was_asked = self.reading.is_none();
            if was_asked {
                self.from = from;
                self.read(journal, from);
            }
            match self.finish().await {
                Ok(found) if was_asked && found.is_empty() => return Ok(ReadResult::EndOfJournal),
                Ok(found) => self.found = found,
                Err(error) if was_asked => return Err(error),
                // What did not work then may work now.
                Err(_) => {}
            }
        }
    }

    /// Reads what follows, at or after a sequence number, unless enough batches are left.
    pub(super) fn start(&mut self, journal: &Arc<BatchJournal>, from: Seq) {
        let bytes = self.bytes();
        let is_full = self.found.len() >= LOW
            || bytes >= LOW_BYTES
            || !journal.memory().has_room_for_exporter(bytes);
        if self.reading.is_some() || is_full {
            return;
        }
        let next = match self.found.back() {
            Some((last, _)) => last.next(),
            None => {
                self.from = self.from.max(from);
                self.from
            }
        };
        if !journal.ends_before(next) && journal.cached(next).is_none() {
            self.read(journal, next);
        }
    }

    /// Forgets what was read.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.form);
    }

    fn take(&mut self, from: Seq) -> Option<ReadResult> {
        // The cursor was moved back, or a record is asked for a second time.
        if from < self.from {
            self.clear();
        }
        while let Some((seq, found)) = self.found.pop_front() {
            self.from = seq.next();
            if seq >= from {
                return Some(found);
            }
        }
        None
    }

    fn read(&mut self, journal: &Arc<BatchJournal>, from: Seq) {
        let (journal, form) = (Arc::clone(journal), self.form);
        self.reading = Some(panics::spawn_blocking(move || {
            journal.read_many(from, form)
        }));
    }

    /// The memory of what was found.
    fn bytes(&self) -> u64 {
        self.found.iter().map(|(_, found)| found.held_bytes()).sum()
    }

    async fn finish(&mut self) -> BatchesRead {
        let Some(reading) = &mut self.reading else {
            return Ok(VecDeque::new());
        };
        let read = reading.await;
        self.reading = None;
        read.unwrap_or_else(|error| Err(task_failed(&error)))
    }
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{Kind, Origin, sample};

    use super::*;
    use crate::{
        batch::NewBatch,
        journal::{self, JournalLimits},
        memory::MemoryBudget,
    };

    /// A journal of so many batches, which are not cached because no exporter needs them.
    async fn journal(
        folder: &tempfile::TempDir,
        batches: usize,
        points: usize,
    ) -> Arc<BatchJournal> {
        let journals = journal::open(folder.path(), &JournalLimits::unlimited()).unwrap();
        let memory = MemoryBudget::new(u64::MAX);
        let journal = BatchJournal::new(Kind::Performance, journals.performance.clone(), &memory);
        for _ in 0..batches {
            let batch = NewBatch {
                rows: sample::performance(1, points).into(),
                origin: Origin::Ingest,
                storage_id: None,
                complete: false,
            };
            journal.accept(batch, None).await.unwrap();
        }
        Arc::new(journal)
    }

    async fn seq_of_next(ahead: &mut ReadAhead, journal: &Arc<BatchJournal>, from: u64) -> u64 {
        match ahead.next(journal, Seq(from)).await.unwrap() {
            ReadResult::Batch(batch) => batch.seq.0,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn every_batch_comes_once_and_in_order_and_those_that_follow_are_read_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let batches = 3 * u64::from(super::super::READ_LIMIT.records) + 7;
        let journal = journal(&folder, batches as usize, 1).await;
        let mut ahead = ReadAhead::new(ReadForm::Rows);
        for seq in 1..=batches {
            assert_eq!(seq_of_next(&mut ahead, &journal, seq).await, seq);
            assert!(ahead.found.len() >= LOW || ahead.reading.is_some() || seq + 64 > batches);
        }
        let end = ahead.next(&journal, Seq(batches + 1)).await.unwrap();
        assert!(matches!(end, ReadResult::EndOfJournal));
    }

    #[tokio::test]
    async fn few_large_batches_are_held() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(&folder, 30, 50_000).await;
        let mut ahead = ReadAhead::new(ReadForm::RowsAndPayload);
        for seq in 1..=30 {
            assert_eq!(seq_of_next(&mut ahead, &journal, seq).await, seq);
            let mut found = ahead.found.iter();
            let one = found.next().map_or(0, |(_, found)| found.held_bytes());
            assert!(ahead.bytes() <= LOW_BYTES + MAX_DECODED_BYTES + one);
            for (_, found) in &ahead.found {
                let ReadResult::Batch(batch) = found else {
                    panic!("{found:?}");
                };
                assert!(batch.payload.encoded_before().is_some());
            }
        }
    }

    #[tokio::test]
    async fn a_cursor_that_moves_finds_its_record() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(&folder, 600, 1).await;
        let mut ahead = ReadAhead::new(ReadForm::Rows);
        for seq in [1, 2, 2, 1, 40, 39, 600, 300, 301, 5] {
            assert_eq!(seq_of_next(&mut ahead, &journal, seq).await, seq);
        }
        ahead.start(&journal, Seq(400));
        assert_eq!(seq_of_next(&mut ahead, &journal, 400).await, 400);
        ahead.clear();
        assert_eq!(seq_of_next(&mut ahead, &journal, 3).await, 3);
    }
}
