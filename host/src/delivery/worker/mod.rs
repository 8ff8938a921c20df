//! The task behind one exporter.
//!
//! Promises: every row that it reads gets one disposition, written once; a call
//! is never waited for longer than its exporter's own deadline, and nothing but
//! this exporter waits for it. The cursor is the only memory: a restart goes on
//! where it stood.

mod instance;
mod limits;
mod rows;
mod say;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use delfin_plugin_api::{Failure, Outcome};
use tokio::{
    sync::{mpsc, watch},
    time::sleep_until,
};

use super::{
    Command, DeliveryParts,
    breaker::Breaker,
    caller::{Caller, Progress, Task, Turn},
    letters::Letters,
    marker::Marker,
    resend::Rounds,
    selection,
    sizing::Sizing,
    status::{State, Status},
    window::{Pick, Window},
};
use crate::{
    batch::Seq,
    batch_journal::{ReadResult, ReleaseRequest},
    journal::{Commit, CommitQueue, CursorError},
    lifecycle::Phase,
    plugin::ExportRequest,
};
use instance::Life;
pub use limits::LIMITS;

/// Where its log lines are said to come from, whichever file here writes them.
const LOG: &str = "delfin_host::delivery";

/// How long an exporter without a batch goes without a `tick`, and how often its
/// limits are looked at.
const TICK: Duration = Duration::from_secs(1);

/// How soon to look again for what is not there yet.
const SOON: Duration = Duration::from_millis(20);

pub(super) struct Worker {
    delivery: DeliveryParts,
    status: Arc<Status>,
    phase: watch::Receiver<Phase>,
    head: watch::Receiver<Seq>,
    commands: mpsc::UnboundedReceiver<Command>,
    releases: mpsc::UnboundedReceiver<ReleaseRequest>,
    caller: Caller,
    life: Life,
    window: Window,
    letters: Letters,
    settling: CommitQueue,
    breaker: Breaker,
    sizing: Sizing,
    rounds: Rounds,
    to_resend: Vec<ExportRequest>,
    /// Failed attempts in a row to make an instance that delivers.
    failed_starts: u32,
    panics_in_a_row: u32,
    ticked: Instant,
    limits_due: Instant,
    trim_due: Instant,
    /// When to look again, if nothing happens before.
    wake: Instant,
    /// Above which share of its room it was warned of last.
    warned: bool,
}

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// Something happens, sooner or later.
    Wait,
    /// All is done.
    Over,
}

impl Worker {
    pub(super) fn new(
        delivery: DeliveryParts,
        status: Arc<Status>,
        phase: watch::Receiver<Phase>,
        commands: mpsc::UnboundedReceiver<Command>,
        releases: mpsc::UnboundedReceiver<ReleaseRequest>,
    ) -> Self {
        let journal = delivery.journal.backend();
        let config = &delivery.config;
        let marker = Marker::open(&delivery.marker);
        if let Err(error) = &marker {
            log::warn!(target: LOG, exporter = config.name.as_str(); "cannot note calls in `{}`: {error}", delivery.marker.display());
        }
        let declared = delivery
            .plugin
            .as_ref()
            .ok()
            .and_then(|plugin| plugin.max_points);
        let now = Instant::now();
        Self {
            head: journal.head(),
            caller: Caller::new(config.timeout, marker.ok(), Arc::clone(&delivery.suspects)),
            life: Life::Absent { not_before: now },
            window: Window::new(delivery.cursor.clone()),
            letters: Letters::new(),
            settling: CommitQueue::new(&config.name, journal),
            breaker: Breaker::new(config.circuit_breaker.failure_threshold),
            sizing: Sizing::new(&config.batch, declared),
            rounds: Rounds::new(delivery.resend.clone()),
            to_resend: Vec::new(),
            failed_starts: 0,
            panics_in_a_row: 0,
            ticked: now,
            limits_due: now,
            trim_due: now,
            wake: now,
            warned: false,
            delivery,
            status,
            phase,
            commands,
            releases,
        }
    }

    pub(super) async fn run(mut self) {
        self.begin();
        while self.act().await == After::Wait {
            tokio::select! {
                progress = self.caller.progress() => self.called(progress).await,
                settled = self.settling.progress() => self.settled(settled).await,
                Some(command) = self.commands.recv() => self.handle_command(command).await,
                Some(request) = self.releases.recv() => self.release(request).await,
                Ok(()) = self.head.changed() => {}
                Ok(()) = self.phase.changed() => {}
                () = sleep_until(self.wake.into()) => {}
            }
        }
        self.finish().await;
    }

    /// Does what is to be done now.
    async fn act(&mut self) -> After {
        self.wake = Instant::now() + TICK;
        let phase = *self.phase.borrow();
        if phase == Phase::Aborting || (phase != Phase::Running && self.caller.is_overdue()) {
            self.caller.leave();
            return After::Over;
        }
        if phase == Phase::Running && self.limits_due <= Instant::now() {
            self.limits_due = Instant::now() + TICK;
            self.keep_limits().await;
        }
        let circuit = self.breaker.circuit(Instant::now());
        let left_behind = self.caller.left_behind();
        self.status.update(|status| {
            status.see_circuit(circuit);
            status.left_behind = left_behind;
        });
        if self.caller.is_busy() {
            return After::Wait;
        }
        match (&self.life, phase) {
            (Life::Ready, Phase::Running) => {
                self.deliver().await;
                After::Wait
            }
            (Life::Ready, _) => self.drain().await,
            (Life::Absent { not_before }, Phase::Running) => {
                let not_before = *not_before;
                self.create(not_before);
                self.look_ahead().await;
                After::Wait
            }
            (Life::Off, Phase::Running) => {
                self.look_ahead().await;
                After::Wait
            }
            (Life::Closing { .. }, _) => After::Wait,
            (Life::Absent { .. } | Life::Off | Life::Closed, _) => After::Over,
        }
    }

    /// Makes the next call, if there is one to be made.
    async fn deliver(&mut self) {
        let now = Instant::now();
        let Some(turn) = self.caller.has_turn() else {
            self.wake = now + SOON;
            return;
        };
        if self.ticked.elapsed() >= TICK {
            self.ticked = now;
            self.settling.hand_over();
            return self.caller.tick(turn);
        }
        self.wake = self.ticked + TICK;
        if let Some(until) = self.breaker.shut_until(now) {
            self.wake = self.wake.min(until);
            return;
        }
        if self.settling.has_failed() {
            return;
        }
        if let Some(turn) = self.send_again(turn)
            && let Some(turn) = self.send_letter(turn).await
        {
            self.send_rows(turn).await;
        }
    }

    /// Delivers what can be delivered at once, then closes the instance.
    async fn drain(&mut self) -> After {
        let shut = self.breaker.shut_until(Instant::now()).is_some();
        let drains = *self.phase.borrow() == Phase::Draining;
        if drains
            && !shut
            && !self.settling.has_failed()
            && let Some(turn) = self.caller.has_turn()
        {
            self.send_rows(turn).await;
        }
        if !self.caller.is_busy() {
            self.life = Life::Closing { restart: false };
            self.caller.flush();
        }
        After::Wait
    }

    /// Sends the next rows; gives the turn back if there are none.
    async fn send_rows(&mut self, turn: Turn) -> Option<Turn> {
        loop {
            self.fill().await;
            let rounds = &self.rounds;
            let overtaken = self.window.narrow(|batch| rounds.news_of(batch));
            if overtaken.settlement.filtered > 0 {
                self.settle(overtaken).await;
                continue;
            }
            let (size, ordering) = (
                self.sizing.size(Instant::now()),
                self.delivery.config.ordering,
            );
            let linger = if self.is_running() {
                self.delivery.config.batch.linger
            } else {
                Duration::ZERO
            };
            match self.window.pick(size, ordering, linger) {
                Pick::Send(shipment) => {
                    match shipment.outgoing() {
                        Ok(outgoing) => self.caller.export(shipment, outgoing, turn),
                        Err(error) => {
                            self.cannot_send(&shipment, &error.to_string()).await;
                            continue;
                        }
                    }
                    return None;
                }
                Pick::Later(until) => self.wake = self.wake.min(until),
                Pick::Nothing => {}
            }
            return Some(turn);
        }
    }

    /// Sends what is active again, if it is time; else gives the turn back.
    fn send_again(&mut self, turn: Turn) -> Option<Turn> {
        if self.to_resend.is_empty() && self.rounds.is_due(self.window.first(), *self.head.borrow())
        {
            self.to_resend = self.rounds.begin();
        }
        self.wake = self.rounds.next(self.wake);
        let Some(next) = self.to_resend.pop() else {
            return Some(turn);
        };
        self.caller.resend(next, turn);
        None
    }

    /// What does not arrive comes in the next round.
    fn sent_again(&mut self, items: u64, outcome: &Outcome) {
        let Err(failure) = outcome else {
            self.status.update(|status| status.resent_items += items);
            self.breaker.succeeded();
            let before = self.status.set(State::Running);
            return self.recovered(before);
        };
        self.to_resend.clear();
        self.status.update(|status| status.failed_resends += 1);
        match failure {
            Failure::Retry { after, .. } | Failure::Throttled { after, .. } => {
                self.rounds.put_off(after.unwrap_or_default());
                self.failed(State::Retrying, &failure.to_string());
            }
            Failure::Uncertain { .. } => self.failed(State::Retrying, &failure.to_string()),
            Failure::Unauthorized { .. } | Failure::Misconfigured { .. } => {
                self.pause(outcome, 1);
            }
            Failure::Partial { .. } | Failure::TooLarge { .. } | Failure::Rejected { .. } => {
                self.complain("sending active alerts again", failure);
            }
            Failure::Fatal { .. } => {
                self.failed(State::Retrying, &failure.to_string());
                self.restart();
            }
        }
    }

    /// Reads records until a call can be filled, or there are none.
    async fn fill(&mut self) {
        while self.window.has_room(self.sizing.size(Instant::now())) {
            if !self.read().await {
                break;
            }
        }
        let oldest = self.window.oldest().map(|batch| batch.header.accepted_ms);
        self.status
            .update(|status| status.oldest_pending_ms = oldest);
    }

    /// Reads the next record; says whether there was one.
    async fn read(&mut self) -> bool {
        match self.delivery.journal.read(self.window.next()).await {
            Ok(ReadResult::Batch(batch)) => {
                let config = &self.delivery.config;
                let kept = selection::of(&batch, config.kind, &config.filter);
                let all_filtered = kept.as_ref().is_some_and(Vec::is_empty);
                self.window.push(batch, kept);
                if all_filtered {
                    let settled = self.window.filter_last();
                    self.settle(settled).await;
                }
                true
            }
            Ok(ReadResult::Damaged(record, reason)) => {
                self.put_damaged_aside(*record, &reason).await
            }
            Ok(ReadResult::EndOfJournal) => false,
            Err(error) => {
                self.failed(State::Retrying, &error.to_string());
                false
            }
        }
    }

    /// Keeps the age of the oldest batch known while there is nobody to send it.
    async fn look_ahead(&mut self) {
        if self.window.oldest().is_none() {
            self.read().await;
        }
        let oldest = self.window.oldest().map(|batch| batch.header.accepted_ms);
        self.status
            .update(|status| status.oldest_pending_ms = oldest);
    }

    /// Moves the cursor soon.
    async fn add(&mut self, settlement: Commit) {
        self.settling.add(settlement);
        // Only looks whether an earlier one is through: the next batch does not
        // wait for this one.
        let settled = tokio::select! {
            biased;
            settled = self.settling.progress() => settled,
            () = std::future::ready(()) => return,
        };
        self.settled(settled).await;
    }

    async fn settled(&mut self, settled: Result<(), CursorError>) {
        let Err(error) = settled else {
            // Whatever the host died under, it has come past it.
            return self.caller.acquit();
        };
        self.failed(State::Retrying, &error.to_string());
        match error {
            CursorError::Unavailable { .. } | CursorError::Closed => {}
            CursorError::Missing { .. } | CursorError::Refused { .. } => {
                log::error!(target: LOG, exporter = self.name(); "settled otherwise than delivered: {error}");
                self.settling.forget();
                self.go_on_from_cursor().await;
            }
        }
    }

    /// Goes on from where the journal says.
    async fn go_on_from_cursor(&mut self) {
        let journal = self.delivery.journal.backend();
        let start = self.delivery.config.start_from;
        match journal.open_cursor(self.name(), start).await {
            Ok(cursor) => self.window.go_on_from(cursor),
            Err(error) => self.failed(State::Retrying, &error.to_string()),
        }
    }

    /// Acts on what became of a call.
    async fn called(&mut self, progress: Progress) {
        match progress {
            Progress::Answered(task, answer) => {
                if answer.panicked {
                    self.panics_in_a_row += 1;
                    self.status.update(|status| status.panics += 1);
                }
                self.came_back(&task);
                match task {
                    Task::Create => self.created(answer.outcome),
                    Task::Export(shipment) => self.exported(&shipment, answer).await,
                    Task::Letter(letter) => self.letter_sent(letter, answer).await,
                    Task::Resend(items) => self.sent_again(items, &answer.outcome),
                    Task::Tick => self.tick_answered(answer.outcome),
                    Task::Flush => self.flushed(answer.outcome),
                    Task::Close => self.closed(answer.outcome).await,
                }
            }
            Progress::Ended => self.thread_ended(),
            Progress::Overdue => self.overdue(),
            Progress::Lost => self.lost(),
        }
    }

    async fn finish(mut self) {
        if let Err(error) = self.settling.finish().await {
            log::warn!(target: LOG, exporter = self.name(); "delivered batches will be delivered again: {error}");
        }
        if self.life != Life::Off {
            self.status.set(State::Stopped);
        }
    }

    fn name(&self) -> &str {
        &self.delivery.config.name
    }

    fn is_running(&self) -> bool {
        *self.phase.borrow() == Phase::Running
    }
}
