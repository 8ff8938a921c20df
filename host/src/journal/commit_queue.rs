//! Commits on their way into the journal.
//!
//! One is under way at a time; what comes meanwhile is merged into the next, so
//! that a fast exporter costs the journal few commits. Nothing is forgotten when
//! the journal fails: it is handed over again.

use std::sync::Arc;

use super::{Commit, CursorError, Durable, Journal};

pub struct CommitQueue {
    exporter: String,
    journal: Arc<dyn Journal>,
    open: Option<Commit>,
    under_way: Option<(Commit, Durable<(), CursorError>)>,
    failed: bool,
}

impl CommitQueue {
    pub fn new(exporter: &str, journal: &Arc<dyn Journal>) -> Self {
        Self {
            exporter: exporter.to_owned(),
            journal: Arc::clone(journal),
            open: None,
            under_way: None,
            failed: false,
        }
    }

    /// Whether the journal did not take the last one: until it does, nothing
    /// more should be added.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether everything is settled.
    pub fn is_idle(&self) -> bool {
        self.open.is_none() && self.under_way.is_none()
    }

    /// Settles, soon.
    pub fn add(&mut self, commit: Commit) {
        self.open = Some(merged(self.open.take(), commit));
        self.hand_over();
    }

    /// Hands over what waits, unless something is under way.
    pub fn hand_over(&mut self) {
        if self.under_way.is_some() {
            return;
        }
        if let Some(commit) = self.open.take() {
            let durable = self.journal.commit(&self.exporter, commit.clone());
            self.under_way = Some((commit, durable));
        }
    }

    /// Waits for what is under way; for ever if nothing is.
    pub async fn progress(&mut self) -> Result<(), CursorError> {
        let Some((_, durable)) = &mut self.under_way else {
            return std::future::pending().await;
        };
        let settled = durable.await;
        self.failed = settled.is_err();
        if let (Err(_), Some((commit, _))) = (&settled, self.under_way.take()) {
            let later = self.open.take();
            self.open = Some(match later {
                Some(later) => merged(Some(commit), later),
                None => commit,
            });
            return settled;
        }
        self.hand_over();
        settled
    }

    /// Waits until all is settled.
    pub async fn finish(&mut self) -> Result<(), CursorError> {
        self.hand_over();
        while self.under_way.is_some() {
            self.progress().await?;
        }
        Ok(())
    }

    /// Forgets what is not settled: the batches will be delivered again.
    pub fn forget(&mut self) {
        self.open = None;
        self.under_way = None;
        self.failed = false;
    }
}

fn merged(earlier: Option<Commit>, later: Commit) -> Commit {
    let Some(mut all) = earlier else {
        return later;
    };
    all.through = later.through;
    all.delivered += later.delivered;
    all.filtered += later.filtered;
    all.dropped.extend(later.dropped);
    all.dead_letters.extend(later.dead_letters);
    all.ahead.extend(later.ahead);
    // What was ahead may be passed by now; its items are counted above.
    let through = (all.through.seq, all.through.row);
    all.ahead
        .retain(|span| (span.seq, span.first_row) >= through);
    all.replayed.extend(later.replayed);
    all
}
