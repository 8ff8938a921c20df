//! How much may wait for an exporter, and what gives way; and what others ask of
//! it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use delfin_plugin_abi::OutcomeCode;
use delfin_plugin_api::{Failure, Outcome};

use super::{Command, LOG, State, Worker};
use crate::{
    batch::Seq,
    batch_journal::ReleaseRequest,
    clock::{millis, now_ms},
    config::{OnFull, OnOverflow},
    journal::{Backlog, DeadLetterLimits, Journal, ReadError},
};

/// How often dead letters are looked through for those that are too old; after
/// one was added it is done with the next look at all limits.
const TRIM: Duration = Duration::from_mins(1);

/// Above this share of its room an exporter is warned of, and below that one it
/// is well again, in hundredths.
const WARN_ABOVE: u64 = 80;
const WELL_BELOW: u64 = 70;

/// The names that limits have in the configuration.
const JOURNAL_BYTES: &str = "journal.max_bytes";
const JOURNAL_AGE: &str = "journal.max_age";
const QUEUE_BYTES: &str = "queue.max_bytes";
const QUEUE_AGE: &str = "queue.max_age";
/// A dead letter that could not be made, and one that is not to be.
pub(super) const LETTER: &str = "dead_letter";
pub(super) const NO_LETTERS: &str = "dead_letter.enabled";

/// What items are dropped for: limits, and damage to the journal.
pub const LIMITS: [&str; 7] = [
    JOURNAL_BYTES,
    JOURNAL_AGE,
    QUEUE_BYTES,
    QUEUE_AGE,
    LETTER,
    NO_LETTERS,
    "damaged",
];

impl Worker {
    /// Looks at what waits, and lets go of what is too much.
    pub(super) async fn keep_limits(&mut self) {
        if self.trim_due <= Instant::now() {
            self.trim_due = Instant::now() + TRIM;
            self.trim().await;
        }
        self.block_on_full_letters().await;
        let name = self.name().to_owned();
        let Some(Some(backlog)) = self.ask(move |journal| journal.backlog(&name)).await else {
            return;
        };
        self.status
            .update(|status| status.growth.observe(Instant::now(), backlog.bytes));
        self.keep_age(&backlog).await;
        self.keep_bytes(&backlog).await;
    }

    async fn keep_age(&mut self, backlog: &Backlog) {
        let config = &self.delivery.config;
        let (max_age, limit) = match (config.queue.max_age, config.required) {
            (Some(max_age), _) => (max_age, QUEUE_AGE),
            (None, false) => (self.delivery.journal_max_age, JOURNAL_AGE),
            (None, true) => return,
        };
        let since_ms = now_ms().saturating_sub(millis(max_age));
        if backlog
            .oldest_accepted_ms
            .is_none_or(|oldest| oldest >= since_ms)
        {
            return;
        }
        if let Some(end) = self.ask(move |journal| journal.seq_since(since_ms)).await {
            self.give_way(end, limit).await;
        }
    }

    async fn keep_bytes(&mut self, backlog: &Backlog) {
        let queue = self.delivery.config.queue.clone();
        let own = queue.max_bytes;
        let max_bytes = own.unwrap_or(self.delivery.journal_max_bytes);
        self.warn(
            backlog.bytes,
            max_bytes,
            if own.is_some() {
                QUEUE_BYTES
            } else {
                JOURNAL_BYTES
            },
        );
        let Some(max_bytes) = own else { return };
        let is_over = backlog.bytes > max_bytes;
        match queue.on_overflow {
            OnOverflow::Reject => self
                .delivery
                .journal
                .set_refusing(self.name(), backlog.bytes >= max_bytes),
            OnOverflow::DropOldest | OnOverflow::DeadLetter if is_over => {
                // A little more than needed, so that it is not needed again at once.
                let keep = max_bytes - max_bytes / 16;
                let waiting = backlog.bytes;
                let end = self.ask(move |journal| {
                    let held = journal.stats()?.bytes;
                    journal.seq_after_bytes(held.saturating_sub(waiting) + (waiting - keep))
                });
                if let Some(end) = end.await {
                    self.give_way(end, QUEUE_BYTES).await;
                }
            }
            OnOverflow::DropOldest | OnOverflow::DeadLetter => {}
        }
    }

    fn warn(&mut self, bytes: u64, max_bytes: u64, limit: &str) {
        let share = bytes.saturating_mul(100) / max_bytes.max(1);
        if share >= WARN_ABOVE && !self.warned {
            self.warned = true;
            log::warn!(target: LOG, exporter = self.name(), bytes = bytes; "{share} % of `{limit}` waits for it");
        } else if share < WELL_BELOW {
            self.warned = false;
        }
    }

    /// Lets go of everything that waits before a record.
    async fn give_way(&mut self, end: Seq, limit: &str) {
        if self.window.first() >= end {
            return;
        }
        match self.delivery.config.queue.on_overflow {
            OnOverflow::DeadLetter => self.give_up_before(end, limit).await,
            OnOverflow::DropOldest | OnOverflow::Reject => self.drop_before(end, limit).await,
        }
    }

    async fn drop_before(&mut self, end: Seq, limit: &str) {
        if self.settling.finish().await.is_err() {
            return;
        }
        let journal = Arc::clone(self.delivery.journal.backend());
        match journal.drop_before(self.name(), end, limit).await {
            Ok(items) => {
                self.window.forget_before(end);
                log::error!(target: LOG, exporter = self.name(), items = items; "dropped: the oldest that waited, for `{limit}`");
            }
            Err(error) => self.failed(State::Retrying, &error.to_string()),
        }
    }

    async fn give_up_before(&mut self, end: Seq, limit: &str) {
        while self.window.first() < end && !self.settling.has_failed() {
            if self.window.oldest().is_none() && !self.read().await {
                return;
            }
            let reason = format!("the oldest that waited, for `{limit}`");
            let settled = self
                .window
                .give_up_before(end, OutcomeCode::REJECT.0, &reason);
            self.settle(settled).await;
        }
    }

    /// Keeps the dead letters within their limits.
    async fn trim(&mut self) {
        let config = &self.delivery.config.dead_letter;
        let limits = DeadLetterLimits {
            max_bytes: match config.on_full {
                OnFull::DropOldest => config.max_bytes,
                OnFull::Block => u64::MAX,
            },
            max_age: config.max_age,
        };
        let journal = self.delivery.journal.backend();
        match journal.trim_dead_letters(self.name(), &limits).await {
            Ok(gone) if gone.items > 0 => {
                log::error!(target: LOG, exporter = self.name(), letters = gone.dead_letters, items = gone.items; "dead letters are gone by their limits (`dead_letter.max_bytes`, `dead_letter.max_age`)");
            }
            Ok(_) => {}
            Err(error) => {
                log::debug!(target: LOG, exporter = self.name(); "dead letters are not trimmed: {error}")
            }
        }
    }

    /// Pauses an exporter whose dead letters are full, if it is configured so.
    async fn block_on_full_letters(&mut self) {
        let config = &self.delivery.config.dead_letter;
        if config.on_full != OnFull::Block || !config.enabled {
            return;
        }
        let (name, max_bytes) = (self.name().to_owned(), config.max_bytes);
        let Some(held) = self
            .ask(move |journal| journal.dead_letter_totals(&name))
            .await
        else {
            return;
        };
        if held.bytes >= max_bytes {
            let full: Outcome = Err(Failure::misconfigured(format!(
                "its {} dead letters take all of `dead_letter.max_bytes` (look at them with `dead-letters \
                 list`, then replay or purge them)",
                held.dead_letters
            )));
            self.letters.are_full = true;
            self.pause(&full, 1);
        } else if self.letters.are_full {
            self.letters.are_full = false;
            self.breaker.hurry();
        }
    }

    /// Releases the oldest records because the journal is full.
    pub(super) async fn release(&mut self, request: ReleaseRequest) {
        self.give_way(request.end, JOURNAL_BYTES).await;
        drop(request.done);
    }

    pub(super) async fn handle_command(&mut self, command: Command) {
        match command {
            Command::Resume => self.resume(),
            Command::Replay { since_ms, answer } => {
                if let Err(error) = self.settling.finish().await {
                    let _ = answer.send(Err(error));
                    return;
                }
                let journal = Arc::clone(self.delivery.journal.backend());
                let replayed = journal.replay(self.name(), since_ms).await;
                if replayed.is_ok() {
                    self.go_on_from_cursor().await;
                }
                // The client may be gone.
                let _ = answer.send(replayed);
            }
        }
    }

    /// Asks the journal something that takes a while.
    async fn ask<T: Send + 'static>(
        &mut self,
        question: impl FnOnce(&dyn Journal) -> Result<T, ReadError> + Send + 'static,
    ) -> Option<T> {
        let journal = Arc::clone(self.delivery.journal.backend());
        let answer = tokio::task::spawn_blocking(move || question(&*journal)).await;
        match answer {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                log::debug!(target: LOG, exporter = self.name(); "{error}");
                None
            }
            Err(_) => None,
        }
    }
}
