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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::batch::{Header, Seq};
    use crate::journal::{self, JournalLimits, NewRecord, Position, RowSpan, StartFrom};

    /// A journal with a cursor `a`, and with three pending batches of ten rows.
    async fn queue(folder: &tempfile::TempDir) -> CommitQueue {
        let limits = JournalLimits::unlimited();
        let journals = journal::open(folder.path(), &limits).unwrap();
        let journal = Arc::clone(&journals.alerts);
        journal.open_cursor("a", StartFrom::Now).await.unwrap();
        for _ in 0..3 {
            let header = Header {
                batch_id: Uuid::now_v7(),
                origin: delfin_plugin_api::Origin::Ingest,
                storage_id: None,
                complete: false,
                accepted_ms: 0,
                items: 10,
            };
            let record = NewRecord {
                header,
                rows: 10,
                collected_until_ms: None,
                payload: vec![1].into(),
            };
            journal.append(record, None).await.unwrap();
        }
        CommitQueue::new("a", &journal)
    }

    fn row(seq: u64, first_row: u64) -> RowSpan {
        RowSpan {
            seq: Seq(seq),
            first_row,
            rows: 1,
            items: 1,
        }
    }

    #[tokio::test]
    async fn commits_that_arrive_during_another_become_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut queue = queue(&folder).await;
        for seq in 1..=3 {
            queue.add(Commit::delivered(Position::after(Seq(seq)), 10));
        }
        let waiting = Commit::delivered(Position::after(Seq(3)), 20);
        assert_eq!(queue.waiting, Some(waiting));
        queue.finish().await.unwrap();
        assert!(queue.is_idle() && !queue.has_failed());
        let counts = queue.journal.counts("a").unwrap().unwrap();
        assert_eq!((counts.delivered, counts.pending), (30, 0));
    }

    #[tokio::test]
    async fn a_failed_commit_stays_in_front_of_later_ones_until_it_is_discarded() {
        let folder = tempfile::tempdir().unwrap();
        let mut queue = queue(&folder).await;
        queue.add(Commit::delivered(Position::after(Seq(1)), 11));
        queue.add(Commit::delivered(Position::after(Seq(2)), 10));
        let refused = queue.progress().await;
        assert!(matches!(refused, Err(CursorError::Refused { .. })));
        assert!(queue.has_failed() && !queue.is_idle());
        let both = Commit::delivered(Position::after(Seq(2)), 21);
        assert_eq!(queue.waiting, Some(both));
        queue.forget();
        assert!(queue.is_idle() && !queue.has_failed());
        queue.add(Commit::delivered(Position::after(Seq(2)), 20));
        queue.finish().await.unwrap();
    }

    #[test]
    fn a_merged_commit_keeps_the_row_spans_after_its_position_only() {
        let position = |seq, row| Position {
            seq: Seq(seq),
            row,
            items: row,
        };
        let mut merged = Commit {
            ahead: vec![row(1, 3), row(1, 5), row(2, 0)],
            ..Commit::delivered(position(1, 1), 4)
        };
        merged.merge(Commit {
            ahead: vec![row(1, 8)],
            ..Commit::delivered(position(1, 4), 3)
        });
        let expected = Commit {
            ahead: vec![row(1, 5), row(2, 0), row(1, 8)],
            ..Commit::delivered(position(1, 4), 7)
        };
        assert_eq!(merged, expected);
    }
}
