//! Dead letters that are replayed: the next one, and what follows from its outcome.

use std::time::Duration;

use delfin_plugin_api::{Failure, Outcome};

use super::{
    InstanceHealth, Sender,
    action::{self, OutcomeAction},
    replay::{self, ReplayedDeadLetter},
    suspecting_death,
};
use crate::{
    delivery::{outbox::RowResult, status::State},
    journal::DeadLetterId,
    plugin::{CallResult, ExportRequest},
};

impl Sender {
    /// The next dead letter that is replayed.
    pub(super) async fn next_dead_letter(&mut self) -> Option<(ReplayedDeadLetter, ExportRequest)> {
        if !self.replay.is_due() {
            return None;
        }
        let exporter = self.reporter.exporter();
        match self.replay.next(self.outbox.backend(), exporter).await {
            Ok(Some(stored)) => {
                let attempt = stored.dead_letter.attempts + 1;
                match replay::request(&stored) {
                    Ok(request) => {
                        let rows = request.arrow.num_rows();
                        let sent = ReplayedDeadLetter {
                            id: stored.id,
                            rows,
                            attempt,
                        };
                        return Some((sent, request));
                    }
                    Err(reason) => {
                        let rejected = RowResult::Rejected {
                            code: stored.dead_letter.code,
                            reason: format!("the dead letter cannot be decoded: {reason}"),
                        };
                        self.commit_dead_letter(stored.id, attempt - 1, rejected)
                            .await;
                    }
                }
            }
            // A dead letter whose result is not durable yet would be found again.
            Ok(None) if !self.replay.has_sent() || self.outbox.is_idle() => {
                self.replay.end_round();
            }
            Ok(None) => {}
            Err(error) => {
                self.reporter.failed(State::Retrying, &error.to_string());
                self.replay.end_round();
            }
        }
        None
    }

    /// A dead letter is delivered whole, or stays.
    pub(super) async fn on_dead_letter_result(
        &mut self,
        sent: &ReplayedDeadLetter,
        result: &CallResult,
    ) -> InstanceHealth {
        self.count(result);
        let outcome = &result.outcome;
        let attempt = u32::try_from(sent.attempt).unwrap_or(u32::MAX);
        if suspecting_death(result).is_some() {
            let rejected = action::rejected(outcome);
            self.commit_dead_letter(sent.id, sent.attempt, rejected)
                .await;
            return InstanceHealth::Broken;
        }
        match action::after(outcome, sent.rows, self.config.retry.on_uncertain) {
            OutcomeAction::Commit(results) => {
                let health = self.on_answer(attempt);
                let retries = results
                    .iter()
                    .any(|(_, result)| *result == RowResult::Retry);
                let failed = results
                    .into_iter()
                    .find(|(_, result)| *result != RowResult::Delivered);
                if failed.is_some() && retries {
                    let after = outcome.as_ref().err().and_then(Failure::after);
                    self.postpone_dead_letters(outcome, attempt, after);
                    return health;
                }
                let result = failed.map_or(RowResult::Delivered, |(_, result)| result);
                self.commit_dead_letter(sent.id, sent.attempt, result).await;
                health
            }
            OutcomeAction::Retry { after } => {
                self.postpone_dead_letters(outcome, attempt, after);
                InstanceHealth::Unknown
            }
            OutcomeAction::InvalidRows => {
                self.postpone_dead_letters(&action::invalid_rows(), attempt, None);
                InstanceHealth::Unknown
            }
            OutcomeAction::Halve | OutcomeAction::Bisect => {
                let health = self.on_answer(attempt);
                let rejected = action::rejected(outcome);
                self.commit_dead_letter(sent.id, sent.attempt, rejected)
                    .await;
                health
            }
            OutcomeAction::Pause => {
                self.pause(outcome, attempt);
                InstanceHealth::Unknown
            }
            OutcomeAction::Restart => self.broken(result),
        }
    }

    fn postpone_dead_letters(&mut self, outcome: &Outcome, attempt: u32, after: Option<Duration>) {
        let until = self.on_unavailable(outcome, attempt, after);
        self.replay.postpone(until);
    }

    async fn commit_dead_letter(&mut self, id: DeadLetterId, attempts: u64, result: RowResult) {
        self.replay.on_committed(id);
        self.outbox.commit_dead_letter(id, attempts, result).await;
    }
}
