//! Commits of one cursor on their way into the journal.
//!
//! One commit is in progress at a time. Those that arrive meanwhile are merged
//! into the next one, so that a fast exporter needs few transactions. When the
//! journal fails, the commits stay and are tried again.

use std::sync::Arc;

use super::{Commit, CursorError, Durable, Journal};

pub struct CommitQueue {
    exporter: String,
    journal: Arc<dyn Journal>,
    /// Merged from all commits that arrived since the one in progress.
    waiting: Option<Commit>,
    in_progress: Option<(Commit, Durable<(), CursorError>)>,
    failed: bool,
}

impl CommitQueue {
    pub fn new(exporter: &str, journal: &Arc<dyn Journal>) -> Self {
        Self {
            exporter: exporter.to_owned(),
            journal: Arc::clone(journal),
            waiting: None,
            in_progress: None,
            failed: false,
        }
    }

    /// Whether the last commit failed. Until one succeeds, add no further commits.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether every commit is durable.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_none() && self.in_progress.is_none()
    }

    /// Adds a commit, and starts it unless another one is in progress.
    pub fn add(&mut self, commit: Commit) {
        match &mut self.waiting {
            Some(waiting) => waiting.merge(commit),
            None => self.waiting = Some(commit),
        }
        self.start();
    }

    /// Starts the waiting commit unless another one is in progress.
    pub fn start(&mut self) {
        if self.in_progress.is_some() {
            return;
        }
        if let Some(commit) = self.waiting.take() {
            let durable = self.journal.commit(&self.exporter, commit.clone());
            self.in_progress = Some((commit, durable));
        }
    }

    /// Waits for the commit in progress; never returns if none is. Safe to cancel.
    pub async fn progress(&mut self) -> Result<(), CursorError> {
        let Some((_, durable)) = &mut self.in_progress else {
            return std::future::pending().await;
        };
        let committed = durable.await;
        self.failed = committed.is_err();
        let Some((mut commit, _)) = self.in_progress.take() else {
            return committed;
        };
        if committed.is_err() {
            // Put the failed commit back in front of the waiting one. It is not
            // started here: the caller decides when to try again.
            if let Some(later) = self.waiting.take() {
                commit.merge(later);
            }
            self.waiting = Some(commit);
            return committed;
        }
        self.start();
        committed
    }

    /// Waits until every commit is durable.
    pub async fn finish(&mut self) -> Result<(), CursorError> {
        self.start();
        while self.in_progress.is_some() {
            self.progress().await?;
        }
        Ok(())
    }

    /// Discards the commits that are not durable. Their rows are delivered again.
    pub fn forget(&mut self) {
        self.waiting = None;
        self.in_progress = None;
        self.failed = false;
    }
}
