//! The limits of what may be pending for an exporter, and of its dead letters.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use delfin_plugin_api::{Failure, Outcome};

use super::{
    DeliveryParts,
    outbox::{DEAD_LETTER, DEAD_LETTERS_DISABLED, SKIP},
    report::{LOG, Reporter},
    sender::Sender,
    status::State,
};
use crate::{
    batch::Seq,
    batch_journal::{BatchJournal, ReleaseRequest},
    config::{DeadLetterConfig, OnFull, OnOverflow, QueueConfig},
    journal::{Backlog, DeadLetterLimits, Journal, ReadError},
};

/// How often the limits are checked.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often dead letters are checked for their age. After one was opened, they
/// are checked with the next check of all limits.
const TRIM_INTERVAL: Duration = Duration::from_mins(1);

/// Percent of a limit at which a warning is logged, and below which the next
/// warning can be logged.
const WARN_AT: u64 = 80;
const WARN_RESET: u64 = 70;

const JOURNAL_BYTES: &str = "journal.max_bytes";
const JOURNAL_AGE: &str = "journal.max_age";
const QUEUE_BYTES: &str = "queue.max_bytes";
const QUEUE_AGE: &str = "queue.max_age";

/// The values of the label `limit`: what items are dropped for.
pub const LIMITS: [&str; 8] = [
    JOURNAL_BYTES,
    JOURNAL_AGE,
    QUEUE_BYTES,
    QUEUE_AGE,
    DEAD_LETTER,
    DEAD_LETTERS_DISABLED,
    SKIP,
    "damaged",
];

/// Checks the limits of one exporter.
pub(super) struct LimitChecker {
    queue: QueueConfig,
    dead_letter: DeadLetterConfig,
    required: bool,
    journal_max_age: Duration,
    journal_max_bytes: u64,
    journal: Arc<BatchJournal>,
    reporter: Reporter,
    due: Instant,
    trim_due: Instant,
    /// Whether the exporter is paused because its dead letters are full.
    is_paused: bool,
    /// Whether a warning was logged since the pending bytes were low.
    has_warned: bool,
}

impl LimitChecker {
    pub(super) fn new(parts: &DeliveryParts, reporter: Reporter) -> Self {
        let now = Instant::now();
        Self {
            queue: parts.config.queue.clone(),
            dead_letter: parts.config.dead_letter.clone(),
            required: parts.config.required,
            journal_max_age: parts.journal_max_age,
            journal_max_bytes: parts.journal_max_bytes,
            journal: Arc::clone(&parts.journal),
            reporter,
            due: now,
            trim_due: now,
            is_paused: false,
            has_warned: false,
        }
    }

    /// Checks the limits if it is time.
    pub(super) async fn check(&mut self, sender: &mut Sender) {
        let now = Instant::now();
        if self.due > now {
            return;
        }
        self.due = now + INTERVAL;
        if sender.outbox().take_opened_dead_letters() || self.trim_due <= now {
            self.trim_due = now + TRIM_INTERVAL;
            self.trim_dead_letters().await;
        }
        self.pause_on_full_dead_letters(sender).await;
        let exporter = self.reporter.exporter().to_owned();
        let Some(Some(backlog)) = self.query(move |journal| journal.backlog(&exporter)).await
        else {
            return;
        };
        let status = self.reporter.status();
        status.update(|status| status.fill_rate.observe(now, backlog.bytes));
        self.check_age(&backlog, sender).await;
        self.check_bytes(&backlog, sender).await;
    }

    /// Releases the oldest records, because the journal is full.
    pub(super) async fn release(&self, request: ReleaseRequest, sender: &mut Sender) {
        self.release_before(request.end, JOURNAL_BYTES, sender)
            .await;
        drop(request.done);
    }

    async fn check_age(&self, backlog: &Backlog, sender: &mut Sender) {
        let (max_age, limit) = match (self.queue.max_age, self.required) {
            (Some(max_age), _) => (max_age, QUEUE_AGE),
            (None, false) => (self.journal_max_age, JOURNAL_AGE),
            (None, true) => return,
        };
        let age = |accepted_ms| self.journal.clock().age(accepted_ms);
        if backlog
            .oldest_accepted_ms
            .is_none_or(|oldest| age(oldest) <= max_age)
        {
            return;
        }
        if let Some(end) = self.query(move |journal| journal.seq_within(max_age)).await {
            self.release_before(end, limit, sender).await;
        }
    }

    async fn check_bytes(&mut self, backlog: &Backlog, sender: &mut Sender) {
        let pending = backlog.bytes;
        let Some(max_bytes) = self.queue.max_bytes else {
            return self.warn(pending, self.journal_max_bytes, JOURNAL_BYTES);
        };
        self.warn(pending, max_bytes, QUEUE_BYTES);
        match self.queue.on_overflow {
            OnOverflow::Reject => self
                .journal
                .set_refusing(self.reporter.exporter(), pending >= max_bytes),
            OnOverflow::DropOldest | OnOverflow::DeadLetter if pending > max_bytes => {
                // A sixteenth more than needed, so that the next batch has room.
                let keep = max_bytes - max_bytes / 16;
                let end = self.query(move |journal| {
                    // The journal may hold records before the cursor, for other exporters.
                    let before_cursor = journal.stats()?.bytes.saturating_sub(pending);
                    journal.seq_after_bytes(before_cursor + (pending - keep))
                });
                if let Some(end) = end.await {
                    self.release_before(end, QUEUE_BYTES, sender).await;
                }
            }
            OnOverflow::DropOldest | OnOverflow::DeadLetter => {}
        }
    }

    fn warn(&mut self, bytes: u64, max_bytes: u64, limit: &str) {
        let percent = bytes.saturating_mul(100) / max_bytes.max(1);
        if percent >= WARN_AT && !self.has_warned {
            self.has_warned = true;
            log::warn!(target: LOG, exporter = self.reporter.exporter(), bytes, limit; "pending batches fill {percent} % of the limit");
        } else if percent < WARN_RESET {
            self.has_warned = false;
        }
    }

    /// Releases everything pending before a record.
    async fn release_before(&self, end: Seq, limit: &str, sender: &mut Sender) {
        let outbox = sender.outbox();
        match self.queue.on_overflow {
            OnOverflow::DeadLetter => outbox.dead_letter_before(end, limit).await,
            OnOverflow::DropOldest | OnOverflow::Reject => {
                if let Err(error) = outbox.drop_before(end, limit).await {
                    self.reporter.failed(State::Retrying, &error.to_string());
                }
            }
        }
    }

    /// Deletes dead letters over their limits.
    async fn trim_dead_letters(&self) {
        let limits = DeadLetterLimits {
            max_bytes: match self.dead_letter.on_full {
                OnFull::DropOldest => self.dead_letter.max_bytes,
                OnFull::Block => u64::MAX,
            },
            max_age: self.dead_letter.max_age,
        };
        let exporter = self.reporter.exporter();
        let backend = self.journal.backend();
        match backend.trim_dead_letters(exporter, &limits).await {
            Ok(deleted) if deleted.items > 0 => {
                log::error!(target: LOG, exporter, dead_letters = deleted.dead_letters, items = deleted.items; "deleted dead letters over their limits (`dead_letter.max_bytes`, `dead_letter.max_age`)");
            }
            Ok(_) => {}
            Err(error) => {
                log::debug!(target: LOG, exporter; "cannot check the limits of dead letters: {error}");
            }
        }
    }

    /// Pauses an exporter whose dead letters are full, if `dead_letter.on_full` is
    /// `block`.
    async fn pause_on_full_dead_letters(&mut self, sender: &mut Sender) {
        if self.dead_letter.on_full != OnFull::Block || !self.dead_letter.enabled {
            return;
        }
        let exporter = self.reporter.exporter().to_owned();
        let Some(held) = self
            .query(move |journal| journal.dead_letter_totals(&exporter))
            .await
        else {
            return;
        };
        if held.bytes >= self.dead_letter.max_bytes {
            let full: Outcome = Err(Failure::misconfigured(format!(
                "{} dead letters fill `dead_letter.max_bytes` (look at them with `dead-letters list`, then \
                 replay or purge them)",
                held.dead_letters
            )));
            self.is_paused = true;
            sender.pause(&full, 1);
        } else if self.is_paused {
            self.is_paused = false;
            sender.close_pause();
        }
    }

    /// Runs a blocking query of the journal.
    async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&dyn Journal) -> Result<T, ReadError> + Send + 'static,
    ) -> Option<T> {
        let backend = Arc::clone(self.journal.backend());
        match tokio::task::spawn_blocking(move || query(&*backend)).await {
            Ok(Ok(found)) => Some(found),
            Ok(Err(error)) => {
                log::debug!(target: LOG, exporter = self.reporter.exporter(); "cannot check the limits: {error}");
                None
            }
            Err(_) => None,
        }
    }
}
