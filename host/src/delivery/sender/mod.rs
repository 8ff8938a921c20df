//! What an exporter sends, and what follows from the outcome: rows of its
//! journal, dead letters that are replayed, and active alerts that are resent.
//!
//! Knows nothing of instances: it makes requests and is told their results.

mod action;
mod check;
mod pacing;
mod replay;
mod sizing;
mod trial;

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use delfin_plugin_abi::OutcomeCode;
use delfin_plugin_api::{Failure, Outcome};

use super::{
    DeliveryParts,
    circuit_breaker::Circuit,
    fatal_rows::{FatalAction, FatalRows},
    outbox::{NextRequest, Outbox, RowResult, RowSelection},
    report::{LOG, Reporter},
    resend::ResendSchedule,
    status::{State, class},
};
use crate::{
    batch::Seq,
    clock::HostClock,
    config::{ExporterConfig, OnUncertain},
    journal::DeadLetterId,
    plugin::{CallResult, ExportRequest, ProcessDeath},
};
use action::OutcomeAction;
use pacing::Pacing;
use replay::{DeadLetterReplay, ReplayedDeadLetter};
use trial::ReceiverTrial;

/// What a request carries.
#[derive(Debug)]
pub(super) enum RequestPayload {
    Rows(RowSelection),
    DeadLetter(ReplayedDeadLetter),
    /// Active alerts, resent.
    ActiveAlerts,
}

/// A request, and what to do with its result.
#[derive(Debug)]
pub(super) struct OutgoingRequest {
    pub(super) payload: RequestPayload,
    pub(super) request: Arc<ExportRequest>,
}

/// What to do next.
pub(super) enum NextSend {
    Send(OutgoingRequest),
    /// Check whether the receiver is available before the next request.
    CheckHealth,
    WaitUntil(Instant),
    /// Nothing, until a record is appended or a call returns.
    Idle,
}

/// What a result says about the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstanceHealth {
    /// The receiver answered through it.
    Works,
    /// Nothing.
    Unknown,
    /// It must be replaced.
    Broken,
    /// Its process has ended because of rows that are sent in smaller requests now, or not any
    /// more. So many of its ends do not matter.
    EndedByRows { ends: u32 },
}

pub(super) struct Sender {
    config: ExporterConfig,
    reporter: Reporter,
    outbox: Outbox,
    pacing: Pacing,
    trial: ReceiverTrial,
    replay: DeadLetterReplay,
    resend: ResendSchedule,
    /// Measures the age of batches and of their first attempt.
    clock: HostClock,
    fatal_rows: FatalRows,
}

impl RequestPayload {
    /// From 1, over all instances.
    pub(super) fn attempt(&self) -> u32 {
        match self {
            Self::Rows(selection) => selection.attempt,
            Self::DeadLetter(sent) => u32::try_from(sent.attempt).unwrap_or(u32::MAX),
            Self::ActiveAlerts => 1,
        }
    }

    /// Names the request in the crash guard: the same rows have the same name
    /// after a restart.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Rows(selection) => {
                let batch_id = selection.batch_ids().next().unwrap_or_default();
                batch_id.to_string()
            }
            Self::DeadLetter(sent) => format!("dead-letter-{}", sent.id),
            Self::ActiveAlerts => "active-alerts".to_owned(),
        }
    }
}

impl Sender {
    pub(super) fn new(parts: &DeliveryParts, reporter: Reporter) -> Self {
        let plugin = parts.plugin.as_ref().ok();
        let max_points = plugin.and_then(|plugin| plugin.max_points);
        let clock = parts.journal.clock().clone();
        Self {
            config: parts.config.clone(),
            outbox: Outbox::new(parts, reporter.clone()),
            pacing: Pacing::new(&parts.config, max_points),
            trial: ReceiverTrial::default(),
            replay: DeadLetterReplay::new(),
            resend: ResendSchedule::new(parts.resend.clone(), clock.clone()),
            fatal_rows: FatalRows::default(),
            reporter,
            clock,
        }
    }

    pub(super) fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    pub(super) fn circuit(&self) -> Circuit {
        self.pacing.circuit()
    }

    /// The next request: first active alerts that are due, then dead letters, then
    /// rows of the journal whose last record is `head`.
    pub(super) async fn next(&mut self, head: Seq) -> NextSend {
        match self.next_by_backoff(head).await {
            // The worker looks at the clock often enough for the next probe.
            NextSend::WaitUntil(_) if self.trial.starts_probe(Instant::now()) => {
                NextSend::CheckHealth
            }
            next => next,
        }
    }

    async fn next_by_backoff(&mut self, head: Seq) -> NextSend {
        if let Some(until) = self.pacing.blocked_until() {
            return NextSend::WaitUntil(until);
        }
        // Rows would be delivered a second time if their commit fails again.
        if self.outbox.is_blocked() {
            return NextSend::Idle;
        }
        if self.trial.needs_health(self.pacing.circuit()) {
            return NextSend::CheckHealth;
        }
        if let Some(request) = self.resend.next(self.outbox.first(), head) {
            return send(RequestPayload::ActiveAlerts, request);
        }
        if let Some((sent, request)) = self.next_dead_letter().await {
            return send(RequestPayload::DeadLetter(sent), request);
        }
        let next = self.next_rows(self.config.batch.linger).await;
        match (next, self.resend.next_due()) {
            (NextSend::WaitUntil(until), Some(due)) => NextSend::WaitUntil(until.min(due)),
            (NextSend::Idle, Some(due)) => NextSend::WaitUntil(due),
            (next, _) => next,
        }
    }

    /// As [`Self::next`] while the exporter drains: rows only, without waiting for
    /// more rows.
    pub(super) async fn next_to_drain(&mut self) -> NextSend {
        if self.pacing.blocked_until().is_some() || self.outbox.is_blocked() {
            return NextSend::Idle;
        }
        self.next_rows(Duration::ZERO).await
    }

    /// Acts on the result of a request.
    pub(super) async fn on_result(
        &mut self,
        sent: OutgoingRequest,
        result: CallResult,
    ) -> InstanceHealth {
        self.trial.end();
        match sent.payload {
            RequestPayload::Rows(selection) => self.on_rows_result(&selection, &result).await,
            RequestPayload::DeadLetter(sent) => self.on_dead_letter_result(&sent, &result).await,
            RequestPayload::ActiveAlerts => self.on_resend_result(&sent.request, &result),
        }
    }

    /// Pauses until a person acts. Returns when to look again.
    pub(super) fn pause(&mut self, outcome: &Outcome, attempt: u32) -> Instant {
        let until = self.pacing.on_pause(attempt);
        self.trial.on_unavailable(false);
        self.reporter.failed(State::Paused, &action::text(outcome));
        until
    }

    /// Ends every wait.
    pub(super) fn retry_now(&mut self) {
        self.pacing.retry_now();
        self.outbox.retry_now();
        self.replay.postpone(Instant::now());
    }

    /// Ends the wait of the circuit breaker alone.
    pub(super) fn close_pause(&mut self) {
        self.pacing.retry_now();
    }

    async fn next_rows(&mut self, linger: Duration) -> NextSend {
        let size = self.pacing.max_size();
        let resend = &self.resend;
        let wanted = |batch: &_| resend.wanted_rows(batch);
        match self.outbox.next_request(size, linger, &wanted).await {
            NextRequest::Send(selection, request) => send(RequestPayload::Rows(selection), request),
            NextRequest::WaitUntil(until) => NextSend::WaitUntil(until),
            NextRequest::Empty => NextSend::Idle,
        }
    }

    async fn next_dead_letter(&mut self) -> Option<(ReplayedDeadLetter, ExportRequest)> {
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

    async fn on_rows_result(
        &mut self,
        selection: &RowSelection,
        result: &CallResult,
    ) -> InstanceHealth {
        self.count(result);
        let outcome = &result.outcome;
        if let Some(death) = suspecting_death(result) {
            return self.on_fatal_rows(selection, death, outcome).await;
        }
        let on_uncertain = self.config.retry.on_uncertain;
        match action::after(outcome, selection.rows(), on_uncertain) {
            OutcomeAction::Commit(results) => self.commit_rows(selection, &results, outcome).await,
            OutcomeAction::Retry { after } => {
                self.retry_later(selection, outcome, after).await;
                InstanceHealth::Unknown
            }
            OutcomeAction::InvalidRows => {
                self.retry_later(selection, &action::invalid_rows(), None)
                    .await;
                InstanceHealth::Unknown
            }
            OutcomeAction::Halve => {
                self.pacing.on_too_large(selection.items());
                self.split(selection, outcome)
            }
            OutcomeAction::Bisect => self.split(selection, outcome),
            OutcomeAction::Pause => {
                let until = self.pause(outcome, selection.attempt);
                self.outbox.postpone(selection.group, until);
                InstanceHealth::Unknown
            }
            OutcomeAction::Restart => self.broken(result),
        }
    }

    /// The process ended in a call with these rows.
    async fn on_fatal_rows(
        &mut self,
        selection: &RowSelection,
        death: &ProcessDeath,
        outcome: &Outcome,
    ) -> InstanceHealth {
        let rows = selection.ranges().collect();
        match self.fatal_rows.on_death(rows, death) {
            FatalAction::Retry => InstanceHealth::Broken,
            FatalAction::Split => {
                self.reporter.status().update(|status| status.splits += 1);
                self.outbox.split(selection);
                InstanceHealth::EndedByRows { ends: 1 }
            }
            FatalAction::Reject { ends } => {
                let code = OutcomeCode::REJECT.0;
                let reason = action::text(outcome);
                self.outbox.reject(selection, code, reason).await;
                InstanceHealth::EndedByRows { ends: ends - 1 }
            }
        }
    }

    /// A dead letter is delivered whole, or stays.
    async fn on_dead_letter_result(
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
                    self.postpone_dead_letters(outcome, attempt, None);
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

    /// Active alerts that do not arrive are sent again at the next interval.
    fn on_resend_result(&mut self, request: &ExportRequest, result: &CallResult) -> InstanceHealth {
        let outcome = &result.outcome;
        let Err(failure) = outcome else {
            let status = self.reporter.status();
            status.update(|status| status.resent_items += request.items);
            self.pacing.on_success();
            self.trial.on_answer();
            self.reporter.running();
            return InstanceHealth::Works;
        };
        let status = self.reporter.status();
        status.update(|status| status.failed_resends += 1);
        if let Some(death) = suspecting_death(result) {
            return match self.resend.on_death(request, death) {
                FatalAction::Retry => InstanceHealth::Broken,
                FatalAction::Split => InstanceHealth::EndedByRows { ends: 1 },
                FatalAction::Reject { ends } => {
                    self.reporter.call_failed("resending an alert", failure);
                    InstanceHealth::EndedByRows { ends: ends - 1 }
                }
            };
        }
        self.resend.cancel();
        match action::after(outcome, request.arrow.num_rows(), OnUncertain::Retry) {
            OutcomeAction::Retry { after } => {
                self.resend.postpone(after.unwrap_or_default());
                self.reporter.failed(State::Retrying, &failure.to_string());
            }
            OutcomeAction::Pause => {
                self.pause(outcome, 1);
            }
            OutcomeAction::Commit(_)
            | OutcomeAction::InvalidRows
            | OutcomeAction::Halve
            | OutcomeAction::Bisect => {
                self.reporter
                    .call_failed("resending active alerts", failure);
            }
            OutcomeAction::Restart => return self.broken(result),
        }
        InstanceHealth::Unknown
    }

    async fn commit_rows(
        &mut self,
        selection: &RowSelection,
        results: &[(Range<usize>, RowResult)],
        outcome: &Outcome,
    ) -> InstanceHealth {
        let health = self.on_answer(selection.attempt);
        if results
            .iter()
            .any(|(_, result)| *result == RowResult::Retry)
        {
            let until = self.pacing.retry_at(selection.attempt, None);
            self.outbox.postpone(selection.group, until);
            self.reporter
                .failed(State::Retrying, &action::text(outcome));
        } else if results
            .iter()
            .any(|(_, result)| *result == RowResult::Delivered)
        {
            let age = self.clock.age(selection.accepted_ms());
            self.reporter.status().delivered(age);
        }
        self.outbox.commit_rows(selection, results).await;
        health
    }

    /// Sends the same rows later, unless they have been retried for longer than
    /// `retry.max_elapsed_time`.
    async fn retry_later(
        &mut self,
        selection: &RowSelection,
        outcome: &Outcome,
        after: Option<Duration>,
    ) {
        let until = self.on_unavailable(outcome, selection.attempt, after);
        let max_elapsed = self.config.retry.max_elapsed_time;
        let elapsed = self.clock.age(selection.first_attempt_ms);
        if max_elapsed.is_zero() || elapsed < max_elapsed {
            return self.outbox.postpone(selection.group, until);
        }
        let error = action::text(outcome);
        let reason = format!("not delivered within `retry.max_elapsed_time`: {error}");
        self.outbox
            .reject(selection, action::code(outcome), reason)
            .await;
    }

    fn split(&mut self, selection: &RowSelection, outcome: &Outcome) -> InstanceHealth {
        let health = self.on_answer(selection.attempt);
        self.reporter.status().update(|status| status.splits += 1);
        log::debug!(target: LOG, exporter = self.reporter.exporter(), rows = selection.rows(); "splitting the request in half: {}", action::text(outcome));
        self.outbox.split(selection);
        health
    }

    /// The receiver answered for rows.
    fn on_answer(&mut self, attempt: u32) -> InstanceHealth {
        self.pacing.on_success();
        self.trial.on_answer();
        if attempt > 1 {
            self.resend.on_receiver_back();
        }
        if !self.outbox.has_postponed() {
            self.reporter.running();
        }
        InstanceHealth::Works
    }

    /// The receiver is unavailable or overloaded. Returns when to try again.
    fn on_unavailable(
        &mut self,
        outcome: &Outcome,
        attempt: u32,
        after: Option<Duration>,
    ) -> Instant {
        let until = self.pacing.on_unavailable(outcome, attempt, after);
        let has_asked = matches!(outcome, Err(Failure::Throttled { .. })) || after.is_some();
        self.trial.on_unavailable(!has_asked);
        let delay = until.saturating_duration_since(Instant::now());
        log::debug!(target: LOG, exporter = self.reporter.exporter(), attempt, delay:?; "retrying later");
        self.reporter
            .failed(State::Retrying, &action::text(outcome));
        until
    }

    fn broken(&self, result: &CallResult) -> InstanceHealth {
        // The end of a process is reported already, with the call that it ended in.
        if result.death.is_none() {
            self.reporter
                .failed(State::Retrying, &action::text(&result.outcome));
        }
        InstanceHealth::Broken
    }

    fn postpone_dead_letters(&mut self, outcome: &Outcome, attempt: u32, after: Option<Duration>) {
        let until = self.on_unavailable(outcome, attempt, after);
        self.replay.postpone(until);
    }

    async fn commit_dead_letter(&mut self, id: DeadLetterId, attempts: u64, result: RowResult) {
        self.replay.on_committed(id);
        self.outbox.commit_dead_letter(id, attempts, result).await;
    }

    fn count(&self, result: &CallResult) {
        self.reporter.status().update(|status| {
            status.attempts[class(&result.outcome)] += 1;
            status.export_time += result.took;
        });
    }
}

/// The end of the process, if the rows of the call may be the reason.
fn suspecting_death(result: &CallResult) -> Option<&ProcessDeath> {
    result.death.as_ref().filter(|death| death.suspects_rows())
}

fn send(payload: RequestPayload, request: ExportRequest) -> NextSend {
    NextSend::Send(OutgoingRequest {
        payload,
        request: Arc::new(request),
    })
}
