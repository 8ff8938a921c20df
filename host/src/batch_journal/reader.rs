//! Reads a journal for one cursor, and commits to it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{BatchJournal, ReadForm, ReadResult, read_ahead::ReadAhead};
use crate::{
    batch::Seq,
    journal::{Commit, CommitQueue, Cursor, CursorError, Position, ReadError, StartFrom},
};

/// The pause after the second refused commit at a place.
const MIN_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_mins(1);

/// The journal as the owner of one cursor uses it: an exporter, or the table of
/// active alerts.
pub struct JournalReader {
    cursor: String,
    start_from: StartFrom,
    journal: Arc<BatchJournal>,
    commits: CommitQueue,
    refusal: Option<RefusedCommit>,
    ahead: ReadAhead,
}

/// Commits that the journal refused one after the other, with the cursor at the same place.
#[derive(Clone, Copy)]
struct RefusedCommit {
    place: Position,
    times: u32,
    /// When to deliver again.
    until: Option<Instant>,
}

impl JournalReader {
    /// `start_from` says where the cursor starts if the journal has lost it.
    #[must_use]
    pub fn new(
        journal: &Arc<BatchJournal>,
        cursor: &str,
        start_from: StartFrom,
        form: ReadForm,
    ) -> Self {
        Self {
            cursor: cursor.to_owned(),
            start_from,
            journal: Arc::clone(journal),
            commits: CommitQueue::new(cursor, journal.backend()),
            refusal: None,
            ahead: ReadAhead::new(form),
        }
    }

    #[must_use]
    pub fn journal(&self) -> &Arc<BatchJournal> {
        &self.journal
    }

    /// The first batch at or after a sequence number.
    ///
    /// # Errors
    ///
    /// The journal cannot be read now.
    pub async fn read(&mut self, from: Seq) -> Result<ReadResult, ReadError> {
        if let Some(batch) = self.journal.cached(from) {
            return Ok(ReadResult::Batch(batch));
        }
        // The head is in memory: no other thread is needed at the end.
        if self.journal.ends_before(from) {
            return Ok(ReadResult::EndOfJournal);
        }
        self.ahead.next(&self.journal, from).await
    }

    /// Reads the batches from a sequence number on, for the next calls of [`Self::read`].
    pub fn read_ahead(&mut self, from: Seq) {
        self.ahead.start(&self.journal, from);
    }

    /// Commits soon. Commits are made in order; several may share a transaction.
    pub fn commit(&mut self, commit: Commit) {
        self.commits.add(commit);
    }

    /// Starts the commits that wait for others to share a transaction with.
    pub fn flush(&mut self) {
        self.commits.start();
    }

    /// Whether the last commit failed. Until a commit succeeds, nothing more
    /// should be delivered: it would be delivered again.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.commits.has_failed()
    }

    /// Whether every commit is durable.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.commits.is_idle()
    }

    /// Waits for the commit in progress; never returns if none is. Safe to cancel.
    ///
    /// # Errors
    ///
    /// The journal has not taken the commit. See [`Self::recover`].
    pub async fn committed(&mut self) -> Result<(), CursorError> {
        self.commits.progress().await
    }

    /// The result of the commit in progress, if it is known already.
    pub async fn poll_committed(&mut self) -> Option<Result<(), CursorError>> {
        tokio::select! {
            biased;
            committed = self.commits.progress() => Some(committed),
            () = std::future::ready(()) => None,
        }
    }

    /// Waits until every commit is durable.
    ///
    /// # Errors
    ///
    /// The journal has not taken a commit.
    pub async fn finish(&mut self) -> Result<(), CursorError> {
        self.commits.finish().await
    }

    /// What to do after a failed commit: `None`, if the journal is only unavailable
    /// and the commit is tried again; the cursor to read from, if the journal
    /// refused the commit, which is then discarded.
    ///
    /// # Errors
    ///
    /// The cursor cannot be opened now.
    pub async fn recover(&mut self, error: &CursorError) -> Result<Option<Cursor>, CursorError> {
        match error {
            CursorError::Unavailable { .. } | CursorError::Closed => Ok(None),
            CursorError::Missing { .. } | CursorError::Refused { .. } => {
                self.commits.forget();
                self.journal.clear_cache();
                let cursor = self.reopen().await?;
                if self.note_refusal(cursor.next) != 2 {
                    return Ok(Some(cursor));
                }
                // Once is explained by a journal that was replaced. Twice is damage, or would
                // go on indefinitely.
                self.journal.verify().await;
                self.reopen().await.map(Some)
            }
        }
    }

    /// When to deliver again after the journal refused commits at the same place.
    #[must_use]
    pub fn paused_until(&self) -> Option<Instant> {
        let until = self.refusal?.until?;
        (until > Instant::now()).then_some(until)
    }

    /// Counts a refused commit. From the second one at a place on, the pause doubles.
    fn note_refusal(&mut self, place: Position) -> u32 {
        let before = self.refusal.filter(|refusal| refusal.place == place);
        let times = before.map_or(1, |refusal| refusal.times.saturating_add(1));
        let pause = (times > 1).then(|| {
            let doubled = MIN_PAUSE.saturating_mul(1 << (times - 2).min(16));
            doubled.min(MAX_PAUSE)
        });
        self.refusal = Some(RefusedCommit {
            place,
            times,
            until: pause.map(|pause| Instant::now() + pause),
        });
        times
    }

    /// The cursor as the journal has it.
    ///
    /// # Errors
    ///
    /// The cursor cannot be opened now.
    pub async fn reopen(&mut self) -> Result<Cursor, CursorError> {
        // The journal may have been replaced since.
        self.ahead.clear();
        let backend = self.journal.backend();
        backend.open_cursor(&self.cursor, self.start_from).await
    }
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::Kind;

    use super::*;
    use crate::{
        journal::{self, JournalLimits},
        memory::MemoryBudget,
    };

    #[tokio::test]
    async fn the_second_refused_commit_at_a_place_pauses_longer_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let journals = journal::open(folder.path(), &JournalLimits::unlimited()).unwrap();
        let journal = Arc::new(BatchJournal::new(
            Kind::Alert,
            journals.alerts.clone(),
            &MemoryBudget::new(0),
        ));
        let mut reader = JournalReader::new(&journal, "a", StartFrom::Now, ReadForm::Rows);
        reader.reopen().await.unwrap();
        let mut pauses = Vec::new();
        for _ in 0..4 {
            // No record has these items.
            reader.commit(Commit::delivered(Position::at(Seq(1)), 7));
            let refused = reader.committed().await.unwrap_err();
            assert!(reader.recover(&refused).await.unwrap().is_some());
            pauses.push(reader.paused_until());
        }
        assert_eq!(pauses[0], None);
        assert!(pauses[1..].iter().all(Option::is_some));
        assert!(pauses.is_sorted(), "{pauses:?}");
        // Another place is not under suspicion.
        assert_eq!(reader.note_refusal(Position::at(Seq(2))), 1);
        assert_eq!(reader.paused_until(), None);
    }
}
