//! The task behind one exporter: waits for events, and dispatches them.
//!
//! Promises: the cursor is the only memory, so a restart continues where it was;
//! and nothing but this exporter waits for its calls.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, watch},
    time::sleep_until,
};

use super::{
    Command, DeliveryParts,
    instances::{CallEvent, CallPermit, CallReturn, InstanceReadiness, Instances},
    limits::LimitChecker,
    outbox::SKIP,
    report::Reporter,
    sender::{NextSend, OutgoingRequest, Sender},
    status::{State, Status, outcome_class},
};
use crate::{
    batch::Seq,
    batch_journal::ReleaseRequest,
    lifecycle::Phase,
    plugin::Candidate,
    tap::{PassedRows, TapPoint},
};

/// The longest wait between two looks at the clock.
const WAKE_INTERVAL: Duration = Duration::from_secs(1);

/// How soon to ask again for permission to call.
const PERMIT_INTERVAL: Duration = Duration::from_millis(20);

/// What other tasks tell the worker.
pub(super) struct Inbox {
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) releases: mpsc::UnboundedReceiver<ReleaseRequest>,
}

pub(super) struct Worker {
    inbox: Inbox,
    head: watch::Receiver<Seq>,
    reporter: Reporter,
    instances: Instances,
    sender: Sender,
    limits: LimitChecker,
    tap: Arc<TapPoint>,
    /// Whether an operator pauses the exporter.
    is_paused: bool,
    /// When to act again, if nothing happens before.
    wake: Instant,
    /// Until it acts again, appends do not wake it.
    is_resting: bool,
}

/// Whether the worker goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    WaitForEvent,
    End,
}

impl Worker {
    pub(super) fn new(
        parts: &DeliveryParts,
        status: Arc<Status>,
        tap: Arc<TapPoint>,
        inbox: Inbox,
    ) -> Self {
        let reporter = Reporter::new(parts, status);
        Self {
            inbox,
            head: parts.journal.backend().head(),
            instances: Instances::new(parts, reporter.clone()),
            sender: Sender::new(parts, reporter.clone()),
            limits: LimitChecker::new(parts, reporter.clone()),
            reporter,
            tap,
            is_paused: parts.paused,
            wake: Instant::now(),
            is_resting: false,
        }
    }

    /// Uses what was tried before.
    pub(super) fn adopt(&mut self, candidate: Candidate) {
        self.instances.adopt(candidate);
    }

    pub(super) async fn run(mut self) {
        while self.act().await == Next::WaitForEvent {
            tokio::select! {
                event = self.instances.next_event() => self.on_call_event(event).await,
                committed = self.sender.outbox().committed() => {
                    self.sender.outbox().on_commit(committed).await;
                }
                Some(command) = self.inbox.commands.recv() => self.on_command(command).await,
                Some(request) = self.inbox.releases.recv() => {
                    self.limits.release(request, &mut self.sender).await;
                }
                Ok(()) = self.head.changed(), if !self.is_resting => {}
                Ok(()) = self.inbox.phase.changed() => {}
                () = sleep_until(self.wake.into()) => {}
            }
        }
        self.sender.outbox().finish().await;
        if !self.instances.is_disabled() {
            self.reporter.status().set(State::Stopped);
        }
    }

    /// Does what can be done now.
    async fn act(&mut self) -> Next {
        self.wake = Instant::now() + WAKE_INTERVAL;
        self.is_resting = false;
        let phase = *self.inbox.phase.borrow();
        let is_stopping = phase != Phase::Running;
        if phase == Phase::Aborting || (is_stopping && self.instances.is_stuck()) {
            self.instances.abandon();
            return Next::End;
        }
        if !is_stopping {
            self.limits.check(&mut self.sender).await;
        }
        if self.sender.outbox().take_progress() {
            self.instances.on_progress();
        }
        self.show();
        if phase == Phase::Running && self.instances.renew_secrets().await {
            self.sender.retry_now();
        }
        match (self.instances.readiness(), phase) {
            (InstanceReadiness::Busy, _) => {}
            (InstanceReadiness::Ready, Phase::Running) if self.is_paused => {
                self.instances.release();
            }
            (InstanceReadiness::Absent { .. }, Phase::Running) if self.is_paused => {
                self.reporter.paused_by_operator();
                self.sender.outbox().look_ahead().await;
            }
            (InstanceReadiness::Ready, Phase::Running) => self.deliver().await,
            (InstanceReadiness::Ready, _) => self.drain(phase).await,
            (InstanceReadiness::Absent { not_before }, Phase::Running) => {
                self.create(not_before);
                self.sender.outbox().look_ahead().await;
            }
            (InstanceReadiness::Disabled, Phase::Running) => {
                self.sender.outbox().look_ahead().await
            }
            (
                InstanceReadiness::Absent { .. }
                | InstanceReadiness::Disabled
                | InstanceReadiness::Closed,
                _,
            ) => {
                return Next::End;
            }
        }
        Next::WaitForEvent
    }

    fn create(&mut self, not_before: Instant) {
        let now = Instant::now();
        if not_before > now {
            self.wait_until(not_before);
        } else if let Some(permit) = self.instances.try_acquire() {
            self.instances.create(permit);
        } else {
            self.wake = now + PERMIT_INTERVAL;
        }
    }

    fn wait_until(&mut self, until: Instant) {
        self.wake = self.wake.min(until);
        self.reporter
            .status()
            .update(|status| status.next_attempt = Some(until));
    }

    /// Makes the next call, if there is one to make.
    async fn deliver(&mut self) {
        let now = Instant::now();
        let Some(permit) = self.instances.try_acquire() else {
            self.wake = now + PERMIT_INTERVAL;
            return;
        };
        if self.instances.next_tick() <= now {
            self.sender.outbox().flush();
            return self.instances.tick(permit);
        }
        self.wake = self.instances.next_tick();
        let head = *self.head.borrow();
        match self.sender.next(head).await {
            NextSend::Send(request) => self.export(request, permit).await,
            NextSend::CheckHealth => self.instances.check_health(permit),
            NextSend::WaitUntil(until) => {
                self.wait_until(until);
                if let Some(probe) = self.sender.next_probe() {
                    self.wake = self.wake.min(probe);
                }
            }
            NextSend::RestUntil(until) => {
                self.wake = self.wake.min(until);
                self.is_resting = true;
            }
            NextSend::Idle => {}
        }
    }

    /// Delivers what can be delivered at once, then closes the instance.
    async fn drain(&mut self, phase: Phase) {
        if phase == Phase::Draining
            && !self.is_paused
            && let Some(permit) = self.instances.try_acquire()
            && let NextSend::Send(request) = self.sender.next_to_drain().await
        {
            return self.export(request, permit).await;
        }
        self.instances.stop();
    }

    /// Makes a call, and prepares the next request while the call runs.
    async fn export(&mut self, request: OutgoingRequest, permit: CallPermit) {
        let group = request.payload.group();
        self.instances.export(request, permit);
        self.sender.prepare_after(group).await;
    }

    async fn on_call_event(&mut self, event: CallEvent) {
        let health = match self.instances.on_event(event).await {
            Some(CallReturn::Request(sent, result)) => {
                self.tap.show(|| PassedRows {
                    arrow: sent.request.arrow.clone(),
                    storage_id: sent.request.storage_id().map(str::to_owned),
                    outcome: Some(outcome_class(&result.outcome)),
                });
                self.sender.on_result(sent, result).await
            }
            Some(CallReturn::Health(result)) => self.sender.on_checked(&result),
            None => return,
        };
        self.instances.on_health(health);
    }

    async fn on_command(&mut self, command: Command) {
        match command {
            Command::Resume { answer } => {
                if !self.is_paused {
                    self.retry_now();
                }
                let _ = answer.send(());
            }
            Command::Pause { answer } => {
                self.is_paused = true;
                let _ = answer.send(());
            }
            Command::Unpause { answer } => {
                if std::mem::take(&mut self.is_paused) {
                    self.reporter.resumed_by_operator();
                }
                self.retry_now();
                let _ = answer.send(());
            }
            Command::Skip { answer } => {
                let end = self.head.borrow().next();
                let dropped = self.sender.outbox().drop_before(end, SKIP).await;
                let _ = answer.send(dropped);
            }
            Command::Adopt { from, answer } => {
                let adopted = self.sender.outbox().adopt(&from).await;
                let _ = answer.send(adopted);
            }
            Command::Replay { since_ms, answer } => {
                let replayed = self.sender.outbox().replay(since_ms).await;
                // The client may be gone.
                let _ = answer.send(replayed);
            }
        }
    }

    fn retry_now(&mut self) {
        self.sender.retry_now();
        self.instances.resume();
        self.reporter
            .status()
            .update(|status| status.next_attempt = None);
    }

    /// Shows in the status what no event reports.
    fn show(&mut self) {
        let circuit = self.sender.circuit();
        let abandoned = self.instances.abandoned();
        let is_paused = self.is_paused;
        self.reporter.status().update(|status| {
            status.observe_circuit(circuit);
            status.abandoned_threads = abandoned;
            status.paused_by_operator = is_paused;
        });
    }
}
