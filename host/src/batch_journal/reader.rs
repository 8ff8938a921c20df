//! Reads a journal for one cursor, and commits to it.

use std::sync::Arc;

use super::{BatchJournal, ReadResult};
use crate::{
    batch::Seq,
    journal::{Commit, CommitQueue, Cursor, CursorError, ReadError, StartFrom},
};

/// The journal as the owner of one cursor uses it: an exporter, or the table of
/// active alerts.
pub struct JournalReader {
    cursor: String,
    start_from: StartFrom,
    journal: Arc<BatchJournal>,
    commits: CommitQueue,
}

impl JournalReader {
    /// `start_from` says where the cursor starts if the journal has lost it.
    #[must_use]
    pub fn new(journal: &Arc<BatchJournal>, cursor: &str, start_from: StartFrom) -> Self {
        Self {
            cursor: cursor.to_owned(),
            start_from,
            journal: Arc::clone(journal),
            commits: CommitQueue::new(cursor, journal.backend()),
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
        self.journal.read(from).await
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
                self.reopen().await.map(Some)
            }
        }
    }

    /// The cursor as the journal has it.
    ///
    /// # Errors
    ///
    /// The cursor cannot be opened now.
    pub async fn reopen(&mut self) -> Result<Cursor, CursorError> {
        let backend = self.journal.backend();
        backend.open_cursor(&self.cursor, self.start_from).await
    }
}
