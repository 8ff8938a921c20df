//! What becomes of rows: outcomes are acted upon, and rows settled.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use delfin_plugin_abi::OutcomeCode;
use delfin_plugin_api::{Failure, Outcome};

use super::{
    LOG, State, Turn, Worker,
    limits::{LETTER, NO_LETTERS},
};
use crate::{
    clock::{from_millis, millis, now_ms},
    delivery::{
        backoff,
        letters::{self, Letter},
        shipment::Shipment,
        status::class,
        verdict::{self, Verdict},
        window::{Fate, Settled},
    },
    journal::{
        Commit, DeadLetter, DeadLetterCommit, DeadLetterDisposition, DroppedItems, Position,
        Record, StoredDeadLetter,
    },
    plugin::Answer,
};

impl Worker {
    /// Acts on the outcome of an export.
    pub(super) async fn exported(&mut self, shipment: &Shipment, answer: Answer) {
        self.count(&answer);
        let on_uncertain = self.delivery.config.retry.on_uncertain;
        match verdict::of(&answer.outcome, shipment.rows(), on_uncertain) {
            Verdict::Settle(fates) => self.settle_rows(shipment, &fates, &answer.outcome).await,
            Verdict::TryLater { after } => self.try_later(shipment, &answer.outcome, after).await,
            Verdict::Nonsense => self.try_later(shipment, &nonsense(), None).await,
            Verdict::Halve => {
                self.sizing.too_large(shipment.items(), Instant::now());
                self.split(shipment, &answer.outcome);
            }
            Verdict::Bisect => self.split(shipment, &answer.outcome),
            Verdict::Pause => {
                let until = self.pause(&answer.outcome, shipment.attempt);
                self.window.put_off(shipment.group, until);
            }
            Verdict::Restart => {
                self.failed(State::Retrying, &said(&answer.outcome));
                self.restart();
            }
        }
    }

    /// Sends the next letter that is to be delivered once more; gives the turn
    /// back if there is none.
    pub(super) async fn send_letter(&mut self, turn: Turn) -> Option<Turn> {
        if self.letters.due > Instant::now() {
            return Some(turn);
        }
        let journal = std::sync::Arc::clone(self.delivery.journal.backend());
        let (name, after) = (self.name().to_owned(), self.letters.after);
        let found =
            tokio::task::spawn_blocking(move || journal.next_replayed_dead_letter(&name, after))
                .await;
        match found {
            Ok(Ok(Some(stored))) => self.send_stored(stored, turn).await,
            Ok(Ok(None)) => {
                // One that is not settled in the journal yet would come again.
                if self.settling.is_idle() {
                    self.letters.rest();
                }
                Some(turn)
            }
            Ok(Err(error)) => {
                self.failed(State::Retrying, &error.to_string());
                self.letters.rest();
                Some(turn)
            }
            Err(_) => Some(turn),
        }
    }

    async fn send_stored(&mut self, stored: StoredDeadLetter, turn: Turn) -> Option<Turn> {
        let attempt = stored.dead_letter.attempts + 1;
        match letters::outgoing(&stored) {
            Ok(outgoing) => {
                let letter = Letter {
                    id: stored.id,
                    rows: outgoing.arrow.num_rows(),
                    attempt,
                };
                self.caller.send_letter(letter, outgoing, turn);
                None
            }
            Err(reason) => {
                let fate = Fate::Rejected {
                    code: stored.dead_letter.code,
                    reason: format!("the letter cannot be read: {reason}"),
                };
                self.settle_letter(stored.id, attempt - 1, fate).await;
                Some(turn)
            }
        }
    }

    /// Acts on what became of a letter: it is taken whole, or not.
    pub(super) async fn letter_sent(&mut self, letter: Letter, answer: Answer) {
        self.count(&answer);
        let on_uncertain = self.delivery.config.retry.on_uncertain;
        let attempt = u32::try_from(letter.attempt).unwrap_or(u32::MAX);
        match verdict::of(&answer.outcome, letter.rows, on_uncertain) {
            Verdict::Settle(fates) => {
                self.receiver_is_there(attempt);
                let again = fates.iter().any(|(_, fate)| *fate == Fate::Again);
                let refused = fates.into_iter().find(|(_, fate)| *fate != Fate::Delivered);
                match refused {
                    Some(_) if again => self.put_letters_off(&answer.outcome, attempt, None),
                    Some((_, fate)) => self.settle_letter(letter.id, letter.attempt, fate).await,
                    None => {
                        self.settle_letter(letter.id, letter.attempt, Fate::Delivered)
                            .await
                    }
                }
            }
            Verdict::TryLater { after } => self.put_letters_off(&answer.outcome, attempt, after),
            Verdict::Nonsense => self.put_letters_off(&nonsense(), attempt, None),
            Verdict::Halve | Verdict::Bisect => {
                self.receiver_is_there(attempt);
                let fate = rejected(&answer.outcome);
                self.settle_letter(letter.id, letter.attempt, fate).await;
            }
            Verdict::Pause => {
                self.pause(&answer.outcome, attempt);
            }
            Verdict::Restart => {
                self.failed(State::Retrying, &said(&answer.outcome));
                self.restart();
            }
        }
    }

    fn put_letters_off(&mut self, outcome: &Outcome, attempt: u32, after: Option<Duration>) {
        self.letters.due = self.away(outcome, attempt, after);
    }

    async fn settle_letter(&mut self, id: crate::journal::DeadLetterId, attempts: u64, fate: Fate) {
        self.letters.after = id;
        let disposition = match fate {
            Fate::Delivered => DeadLetterDisposition::Delivered,
            Fate::Again => return,
            Fate::Rejected { code, reason } => DeadLetterDisposition::DeadLettered {
                code,
                reason: self.scrubbed(&reason),
                plugin_version: self.plugin_version().to_owned(),
                attempts,
                last_ms: now_ms(),
            },
        };
        let settlement = Commit {
            through: self.window.position(),
            replayed: vec![DeadLetterCommit { id, disposition }],
            ..Commit::default()
        };
        self.add(settlement).await;
    }

    async fn settle_rows(
        &mut self,
        shipment: &Shipment,
        fates: &[(Range<usize>, Fate)],
        outcome: &Outcome,
    ) {
        self.receiver_is_there(shipment.attempt);
        if fates.iter().any(|(_, fate)| *fate == Fate::Again) {
            let wait = backoff::wait(&self.delivery.config.retry, shipment.attempt, None);
            self.window.put_off(shipment.group, Instant::now() + wait);
            self.failed(State::Retrying, &said(outcome));
        } else if fates.iter().any(|(_, fate)| *fate == Fate::Delivered) {
            let age_ms = now_ms().saturating_sub(shipment.accepted_ms());
            self.status.delivered(from_millis(age_ms));
        }
        let settled = self.window.settle(shipment, fates);
        self.settle(settled).await;
    }

    /// The receiver has answered for rows.
    fn receiver_is_there(&mut self, attempt: u32) {
        self.breaker.succeeded();
        self.panics_in_a_row = 0;
        self.failed_starts = 0;
        if attempt > 1 {
            self.rounds.receiver_is_back();
        }
        if !self.window.waits(Instant::now()) {
            let before = self.status.set(State::Running);
            self.recovered(before);
        }
    }

    /// The same rows again, later, unless they have been tried for too long.
    async fn try_later(&mut self, shipment: &Shipment, outcome: &Outcome, after: Option<Duration>) {
        let until = self.away(outcome, shipment.attempt, after);
        let most = self.delivery.config.retry.max_elapsed_time;
        let tried_ms = now_ms().saturating_sub(shipment.first_ms);
        if most.is_zero() || tried_ms < millis(most) {
            return self.window.put_off(shipment.group, until);
        }
        let fate = Fate::Rejected {
            code: code(outcome),
            reason: format!("given up after `retry.max_elapsed_time`: {}", said(outcome)),
        };
        let settled = self.window.settle(shipment, &[(0..shipment.rows(), fate)]);
        self.settle(settled).await;
    }

    /// The receiver is away, or busy: says until when.
    pub(super) fn away(
        &mut self,
        outcome: &Outcome,
        attempt: u32,
        after: Option<Duration>,
    ) -> Instant {
        let wait = backoff::wait(&self.delivery.config.retry, attempt, after);
        log::debug!(target: LOG, exporter = self.name(), wait:? = wait; "trying again later");
        let until = Instant::now() + wait;
        self.breaker.failed(until);
        let busy = matches!(outcome, Err(Failure::Throttled { .. })) || after.is_some();
        if busy {
            self.breaker.hold(until);
        }
        self.failed(State::Retrying, &said(outcome));
        until
    }

    /// A person has to act: looks again now and then.
    pub(super) fn pause(&mut self, outcome: &Outcome, attempt: u32) -> Instant {
        let wait = backoff::slow_wait(&self.delivery.config.retry, attempt);
        let until = Instant::now() + wait;
        self.breaker.open(until);
        self.failed(State::Paused, &said(outcome));
        until
    }

    /// Sends the rows in two halves from now on.
    fn split(&mut self, shipment: &Shipment, outcome: &Outcome) {
        self.receiver_is_there(shipment.attempt);
        self.status.update(|status| status.splits += 1);
        log::debug!(target: LOG, exporter = self.name(), rows = shipment.rows(); "sending halves: {}", said(outcome));
        self.window.halve(shipment);
    }

    /// Rows that do not fit into one batch are sent in halves; one that cannot
    /// be handed over at all is given up.
    pub(super) async fn cannot_send(&mut self, shipment: &Shipment, error: &str) {
        if self.window.halve(shipment) {
            return;
        }
        let fate = Fate::Rejected {
            code: OutcomeCode::REJECT.0,
            reason: format!("cannot be handed to the plugin: {error}"),
        };
        let settled = self.window.settle(shipment, &[(0..shipment.rows(), fate)]);
        self.settle(settled).await;
    }

    /// Puts a record aside that cannot be read; says whether that went well.
    pub(super) async fn put_damaged_aside(&mut self, record: Record, reason: &str) -> bool {
        if self.window.oldest().is_some() {
            // It waits until it is the first, so that the cursor can pass it.
            return false;
        }
        log::error!(target: LOG, exporter = self.name(); "a batch in the journal cannot be read: {reason}");
        let seq = record.seq;
        let letter = letters::of_damaged(record, reason, self.plugin_version());
        self.window.forget_before(seq.next());
        let mut settlement = Commit {
            through: Position::after(seq),
            ..Commit::default()
        };
        self.keep(&mut settlement, letter);
        self.add(settlement).await;
        self.trim_due = Instant::now();
        true
    }

    /// Settles rows, with letters of those that are given up.
    pub(super) async fn settle(&mut self, settled: Settled) {
        let Settled {
            mut settlement,
            given_up,
            ..
        } = settled;
        if given_up.is_empty() {
            return self.add(settlement).await;
        }
        for rows in given_up.iter().filter(|rows| rows.items > 0) {
            match letters::of(rows, self.plugin_version()) {
                Ok(letter) => self.keep(&mut settlement, letter),
                Err(error) => {
                    log::error!(target: LOG, exporter = self.name(), items = rows.items; "rows are given up and cannot be kept: {error}");
                    drop_items(&mut settlement, LETTER, rows.items);
                }
            }
        }
        let items: u64 = given_up.iter().map(|rows| rows.items).sum();
        let reason = given_up.first().map_or("", |rows| &rows.reason);
        log::error!(target: LOG, exporter = self.name(), items = items, kept = settlement.dead_lettered(); "given up: {}", self.scrubbed(reason));
        self.add(settlement).await;
        self.trim_due = Instant::now();
    }

    /// Keeps a letter, or drops what it holds, as the operator wants it.
    fn keep(&self, settlement: &mut Commit, mut letter: DeadLetter) {
        letter.reason = self.scrubbed(&letter.reason);
        if self.delivery.config.dead_letter.enabled {
            settlement.dead_letters.push(letter);
        } else {
            drop_items(settlement, NO_LETTERS, letter.items);
        }
    }

    fn count(&self, answer: &Answer) {
        self.status.update(|status| {
            status.attempts[class(&answer.outcome)] += 1;
            status.export_time += answer.took;
        });
    }

    pub(super) fn plugin_version(&self) -> &str {
        let offered = self.delivery.plugin.as_ref();
        offered.map_or("", |offered| &offered.version)
    }
}

fn drop_items(settlement: &mut Commit, limit: &str, items: u64) {
    settlement.dropped.push(DroppedItems {
        limit: limit.to_owned(),
        items,
    });
}

fn nonsense() -> Outcome {
    Err(Failure::retry(
        "the plugin speaks of rows that it was not sent, or of one twice; all of them are sent again \
         (mend the plugin)",
    ))
}

fn said(outcome: &Outcome) -> String {
    match outcome {
        Ok(()) => String::new(),
        Err(failure) => failure.to_string(),
    }
}

fn code(outcome: &Outcome) -> u32 {
    match outcome {
        Ok(()) => OutcomeCode::DELIVERED.0,
        Err(failure) => failure.code().0,
    }
}

fn rejected(outcome: &Outcome) -> Fate {
    Fate::Rejected {
        code: code(outcome),
        reason: said(outcome),
    }
}
