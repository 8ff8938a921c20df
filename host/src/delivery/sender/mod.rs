//! What an exporter sends, and what follows from the outcome: rows of its
//! journal, dead letters that are replayed, and active alerts that are resent.
//!
//! Knows nothing of instances: it makes requests and is told their results.

mod action;
mod check;
mod dead_letters;
mod pacing;
mod replay;
mod rest;
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
    outbox::{NextRequest, Outbox, RowResult, RowSelection, SendGroup},
    report::{LOG, Reporter},
    resend::ResendSchedule,
    status::{State, class},
};
use crate::{
    batch::Seq,
    clock::HostClock,
    config::{ExporterConfig, OnUncertain},
    plugin::{CallResult, DeathCause, ExportRequest, ProcessDeath},
};
use action::OutcomeAction;
use pacing::Pacing;
use replay::{DeadLetterReplay, ReplayedDeadLetter};
use rest::Rest;
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
    /// Nothing, until then: more rows may come.
    RestUntil(Instant),
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
    rest: Rest,
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

    /// The group of its rows, if they are of the journal.
    pub(super) fn group(&self) -> Option<SendGroup> {
        match self {
            Self::Rows(selection) => Some(selection.group),
            Self::DeadLetter(_) | Self::ActiveAlerts => None,
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
            rest: Rest::default(),
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
            NextSend::WaitUntil(_) if self.trial.starts_probe(Instant::now()) => {
                NextSend::CheckHealth
            }
            next => next,
        }
    }

    /// When the health is checked next while rows wait.
    pub(super) fn next_probe(&self) -> Option<Instant> {
        self.trial.next_probe()
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
        if let Some(until) = self.rest.until(Instant::now()) {
            return NextSend::RestUntil(until);
        }
        let next = self.next_rows(self.config.batch.linger).await;
        self.rest.on_request(self.outbox.has_unsent(head));
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

    /// Prepares the request after one that is sent now, if that is about rows of the journal.
    pub(super) async fn prepare_after(&mut self, sent: Option<SendGroup>) {
        if let Some(group) = sent {
            let limits = self.pacing.limits();
            self.outbox.prepare_after(group, limits).await;
        }
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
        let limits = self.pacing.limits();
        let resend = &self.resend;
        let wanted = |batch: &_| resend.wanted_rows(batch);
        match self.outbox.next_request(limits, linger, &wanted).await {
            NextRequest::Send(selection, request) => send(RequestPayload::Rows(selection), request),
            NextRequest::WaitUntil(until) => NextSend::WaitUntil(until),
            NextRequest::Empty => NextSend::Idle,
        }
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
        let is_out_of_time = self.is_out_of_time(result);
        if is_out_of_time {
            self.pacing.on_out_of_time(selection.items());
        }
        match action::after(outcome, selection.rows(), on_uncertain) {
            OutcomeAction::Commit(results) => {
                if !is_out_of_time {
                    self.pacing.on_in_time(selection.items());
                }
                if outcome.is_ok() {
                    self.rest.on_delivered(result.took, Instant::now());
                }
                self.commit_rows(selection, results, outcome).await
            }
            OutcomeAction::Retry { after } => {
                self.retry_later(selection, outcome, after).await;
                if is_out_of_time {
                    self.split_again(selection);
                }
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
            OutcomeAction::Restart => {
                if is_out_of_time {
                    self.split_again(selection);
                }
                self.broken(result)
            }
        }
    }

    /// Whether the time of a call was not enough. An exporter that keeps to its deadline gives up
    /// somewhat earlier.
    fn is_out_of_time(&self, result: &CallResult) -> bool {
        let death = result.death.as_ref();
        death.is_some_and(|death| death.cause == DeathCause::Deadline)
            || (result.outcome.is_err() && result.took >= self.config.timeout * 9 / 10)
    }

    /// Splits a request whose time was not enough, from the second attempt on: the receiver may know
    /// the same rows as those that it has got already.
    fn split_again(&mut self, selection: &RowSelection) {
        if selection.attempt > 1 && selection.rows() > 1 {
            self.halve(selection);
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
                self.halve(selection);
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
        mut results: Vec<(Range<usize>, RowResult)>,
        outcome: &Outcome,
    ) -> InstanceHealth {
        let health = self.on_answer(selection.attempt);
        if self.is_expired(selection) {
            let retried = results
                .iter_mut()
                .filter(|(_, result)| *result == RowResult::Retry);
            retried.for_each(|(_, result)| *result = expired(outcome));
        }
        if results
            .iter()
            .any(|(_, result)| *result == RowResult::Retry)
        {
            let after = outcome.as_ref().err().and_then(Failure::after);
            let until = self.pacing.on_partial(selection.attempt, after);
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
        self.outbox.commit_rows(selection, &results).await;
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
        if !self.is_expired(selection) {
            return self.outbox.postpone(selection.group, until);
        }
        let rows = 0..selection.rows();
        let rejected = [(rows, expired(outcome))];
        self.outbox.commit_rows(selection, &rejected).await;
    }

    /// Whether rows have been retried for longer than `retry.max_elapsed_time`.
    fn is_expired(&self, selection: &RowSelection) -> bool {
        let max_elapsed = self.config.retry.max_elapsed_time;
        let elapsed = self.clock.age(selection.first_attempt_ms);
        !max_elapsed.is_zero() && elapsed >= max_elapsed
    }

    fn split(&mut self, selection: &RowSelection, outcome: &Outcome) -> InstanceHealth {
        let health = self.on_answer(selection.attempt);
        log::debug!(target: LOG, exporter = self.reporter.exporter(), rows = selection.rows(); "splitting the request in half: {}", action::text(outcome));
        self.halve(selection);
        health
    }

    /// The rows are sent in two requests from now on.
    fn halve(&mut self, selection: &RowSelection) {
        self.reporter.status().update(|status| status.splits += 1);
        self.outbox.split(selection);
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

/// The result of rows that are retried no more.
fn expired(outcome: &Outcome) -> RowResult {
    let error = action::text(outcome);
    let code = match outcome {
        // Of these rows alone.
        Err(Failure::Partial { .. }) => OutcomeCode::RETRY.0,
        Ok(()) | Err(_) => action::code(outcome),
    };
    RowResult::Rejected {
        code,
        reason: format!("not delivered within `retry.max_elapsed_time`: {error}"),
    }
}

fn send(payload: RequestPayload, request: ExportRequest) -> NextSend {
    NextSend::Send(OutgoingRequest {
        payload,
        request: Arc::new(request),
    })
}

#[cfg(test)]
mod tests;
