//! The instances of one exporter, one after the other: created, called, replaced,
//! closed, quarantined.
//!
//! Promises: a call is never waited for longer than twice its deadline, and an
//! exporter that must not be called any more is not.
//!
//! Knows nothing of rows: a request is passed on, and its result given back.

mod caller;
mod candidate;
mod crash_guard;
mod secrets;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use delfin_plugin_api::{Failure, Outcome};

pub(super) use caller::CallPermit;
use caller::{CallProgress, Caller};
pub use crash_guard::{clear_suspicion, open_guarded};
use secrets::SecretWatch;

use super::{
    DeliveryParts, backoff,
    report::{LOG, Reporter},
    sender::{InstanceHealth, OutgoingRequest},
    status::State,
};
use crate::{
    config::{ExporterConfig, Isolation},
    plugin::{
        Call, CallResult, DeathCause, ExporterFactory, Instance, InstanceHost, InstanceSettings,
        ProcessDeath, RestartReason,
    },
};

/// How many calls in a row may panic.
const MAX_PANICS: u32 = 10;

/// How often in a row its process may end without a delivery in between.
const MAX_DEATHS: u32 = 10;

/// How long an instance must work without rows, so that earlier failures do not matter.
const LONG_LIFE: Duration = Duration::from_mins(1);

/// How long an instance without a request goes without a `tick`.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// What a call is for.
#[derive(Debug)]
enum Task {
    Create,
    Export(OutgoingRequest),
    Health,
    Tick,
    Flush,
    Close,
}

/// The result of a call that the sender acts on.
#[derive(Debug)]
pub(super) enum CallReturn {
    Request(OutgoingRequest, CallResult),
    /// Of a check of the receiver.
    Health(CallResult),
}

/// How a call goes on.
#[derive(Debug)]
pub(super) struct CallEvent(CallProgress<Task>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifecycle {
    /// No instance; the next one is created at `not_before`.
    Absent { not_before: Instant },
    /// An instance that can be called.
    Ready,
    /// The instance is being closed.
    Closing { restart: bool },
    /// Closed for good.
    Closed,
    /// No instance until a person acts.
    Disabled,
}

/// What can be done with the instances now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstanceReadiness {
    /// A call is in progress, or the instance is being closed.
    Busy,
    Ready,
    /// No instance; one can be created then.
    Absent {
        not_before: Instant,
    },
    /// No instance until a person acts.
    Disabled,
    /// No instance any more.
    Closed,
}

pub(super) struct Instances {
    config: ExporterConfig,
    plugin: Result<ExporterFactory, String>,
    host: InstanceHost,
    reporter: Reporter,
    caller: Caller<Task>,
    /// A process or thread that was tried, for the first instance.
    spare: Option<Instance>,
    lifecycle: Lifecycle,
    /// Instances in a row that could not be created or did not deliver.
    failed_starts: u32,
    panics_in_a_row: u32,
    /// Ends of its process without a delivery in between. Calls past their deadline do
    /// not count.
    deaths_in_a_row: u32,
    /// Whether the last instance has failed, and this one has not yet shown that it works.
    is_unproven: bool,
    secrets: SecretWatch,
    created: Instant,
    last_tick: Instant,
}

impl Task {
    /// What the call is named by in messages.
    fn name(&self) -> &'static str {
        match self {
            Self::Create => "a call to create an instance",
            Self::Export(_) => "a call of `export`",
            Self::Health => "a call of `health`",
            Self::Tick => "a call of `tick`",
            Self::Flush => "a call of `flush`",
            Self::Close => "a call of `close`",
        }
    }

    /// The name, and the rows of the call.
    fn description(&self) -> String {
        match self {
            Self::Export(sent) => format!("{} of {}", self.name(), sent.payload.name()),
            Self::Create | Self::Health | Self::Tick | Self::Flush | Self::Close => {
                self.name().to_owned()
            }
        }
    }
}

impl Instances {
    /// Without a plugin, or if the exporter is quarantined, there is no instance
    /// until a person acts.
    pub(super) fn new(parts: &DeliveryParts, reporter: Reporter) -> Self {
        let timeout = parts.config.timeout;
        let suspects = Arc::clone(&parts.suspects);
        let marker = match parts.config.isolation {
            Isolation::Thread => Some(&*parts.marker),
            Isolation::Process => None,
        };
        let (caller, opened) = Caller::new(timeout, marker, suspects);
        if let Err(error) = opened {
            log::warn!(target: LOG, exporter = reporter.exporter(), error:%; "cannot use the marker file `{}`, a crash in a call will not be noticed", parts.marker.display());
        }
        let now = Instant::now();
        let mut instances = Self {
            config: parts.config.clone(),
            plugin: parts.plugin.clone(),
            host: parts.host.clone(),
            reporter,
            caller,
            spare: None,
            lifecycle: Lifecycle::Absent { not_before: now },
            failed_starts: 0,
            panics_in_a_row: 0,
            deaths_in_a_row: 0,
            is_unproven: false,
            secrets: SecretWatch::default(),
            created: now,
            last_tick: now,
        };
        if let Some(reason) = instances.caller.quarantine_reason() {
            instances.disable(State::Quarantined, &reason);
        } else if let Err(reason) = &parts.plugin {
            instances.disable(State::Failed, reason);
        }
        instances
    }

    pub(super) fn readiness(&self) -> InstanceReadiness {
        if self.caller.is_busy() {
            return InstanceReadiness::Busy;
        }
        match self.lifecycle {
            Lifecycle::Absent { not_before } => InstanceReadiness::Absent { not_before },
            Lifecycle::Ready => InstanceReadiness::Ready,
            Lifecycle::Closing { .. } => InstanceReadiness::Busy,
            Lifecycle::Closed => InstanceReadiness::Closed,
            Lifecycle::Disabled => InstanceReadiness::Disabled,
        }
    }

    /// Whether a call is past its deadline.
    pub(super) fn is_stuck(&self) -> bool {
        self.caller.is_stuck()
    }

    /// Whether there is no instance until a person acts.
    pub(super) fn is_disabled(&self) -> bool {
        self.lifecycle == Lifecycle::Disabled
    }

    /// How many abandoned threads still run.
    pub(super) fn abandoned(&mut self) -> usize {
        self.caller.abandoned()
    }

    /// Permission for a call; `None` while another suspect is in a call.
    pub(super) fn try_acquire(&self) -> Option<CallPermit> {
        self.caller.try_acquire()
    }

    /// When the next `tick` is due.
    pub(super) fn next_tick(&self) -> Instant {
        self.last_tick + TICK_INTERVAL
    }

    pub(super) fn create(&mut self, permit: CallPermit) {
        let Ok(factory) = self.plugin.clone() else {
            return;
        };
        match self.start_one(&factory) {
            Ok(instance) => {
                let started = (instance, factory.source.start_time());
                let settings = InstanceSettings::of(&self.config);
                self.caller.create(Task::Create, started, settings, permit);
            }
            Err(error) => {
                self.on_failed_start(&Failure::retry(format!("cannot start a thread: {error}")));
            }
        }
    }

    pub(super) fn export(&mut self, sent: OutgoingRequest, permit: CallPermit) {
        let name = sent.payload.name();
        let call = Call::Export(Arc::clone(&sent.request), sent.payload.attempt());
        self.caller.call(Task::Export(sent), &name, call, permit);
    }

    pub(super) fn check_health(&mut self, permit: CallPermit) {
        self.caller
            .call(Task::Health, "health", Call::Health, permit);
    }

    pub(super) fn tick(&mut self, permit: CallPermit) {
        self.last_tick = Instant::now();
        self.caller.call(Task::Tick, "tick", Call::Tick, permit);
    }

    /// Flushes and closes the instance, for good.
    pub(super) fn stop(&mut self) {
        self.lifecycle = Lifecycle::Closing { restart: false };
        self.caller.call_to_stop(Task::Flush, Call::Flush);
    }

    /// Flushes and closes the instance. Another one can be created later.
    pub(super) fn release(&mut self) {
        self.lifecycle = Lifecycle::Closing { restart: true };
        self.caller.call_to_stop(Task::Flush, Call::Flush);
    }

    /// Abandons the instance and the call in progress.
    pub(super) fn abandon(&mut self) {
        self.caller.abandon();
    }

    /// How the call in progress goes on; never returns if none is. Safe to cancel.
    pub(super) async fn next_event(&mut self) -> CallEvent {
        CallEvent(self.caller.progress().await)
    }

    /// Acts on an event. Returns the result of a request or of a check of the receiver.
    pub(super) async fn on_event(&mut self, event: CallEvent) -> Option<CallReturn> {
        match event.0 {
            CallProgress::Returned(task, result) => return self.on_return(task, result).await,
            CallProgress::ThreadEnded => self.on_thread_ended(),
            CallProgress::Stuck => self.on_stuck(),
            CallProgress::Lost => self.on_lost(),
        }
        None
    }

    /// Acts on what the result of a request says about the instance.
    pub(super) fn on_health(&mut self, health: InstanceHealth) {
        match health {
            InstanceHealth::Works => {
                self.panics_in_a_row = 0;
                self.on_proven();
            }
            InstanceHealth::Unknown => {}
            InstanceHealth::Broken => self.restart_unproven(),
            InstanceHealth::EndedByRows { ends } => {
                // The next request has fewer rows, or others: no reason to wait.
                self.deaths_in_a_row = self.deaths_in_a_row.saturating_sub(ends);
                self.failed_starts = 0;
                self.lifecycle = Lifecycle::Absent {
                    not_before: Instant::now(),
                };
            }
        }
    }

    /// The cursor has advanced: the rows that crashed the host are behind it.
    pub(super) fn on_progress(&mut self) {
        self.caller.clear();
    }

    /// A person has acted: creates an instance again, also after a quarantine. A plugin that was not opened
    /// is no longer under suspicion, so that it can be.
    pub(super) fn resume(&mut self) {
        if self.reporter.status().view().state == State::Quarantined {
            self.caller.abandon();
        }
        if self.plugin.is_err() {
            return self.caller.clear();
        }
        if self.lifecycle == Lifecycle::Disabled {
            self.caller.clear();
            self.panics_in_a_row = 0;
            self.on_proven();
            self.reporter.status().set(State::Starting);
        }
        if !self.caller.has_instance() {
            self.failed_starts = 0;
            self.lifecycle = Lifecycle::Absent {
                not_before: Instant::now(),
            };
        }
    }

    async fn on_return(&mut self, task: Task, result: CallResult) -> Option<CallReturn> {
        let is_export = matches!(task, Task::Export(_));
        self.secrets.on_outcome(&result.outcome, is_export);
        if result.panicked {
            self.panics_in_a_row += 1;
            self.reporter.status().update(|status| status.panics += 1);
        }
        if let Some(death) = &result.death {
            self.on_death(&task, death);
            match task {
                Task::Export(sent) => return Some(CallReturn::Request(sent, result)),
                Task::Health => return Some(CallReturn::Health(result)),
                Task::Create | Task::Close => self.on_ended(),
                Task::Tick | Task::Flush => self.restart(),
            }
            return None;
        }
        if let (Task::Export(_) | Task::Health | Task::Tick, Err(Failure::Fatal { .. })) =
            (&task, &result.outcome)
        {
            self.count_restart(if result.panicked {
                RestartReason::Panic
            } else {
                RestartReason::Unusable
            });
        }
        match task {
            Task::Export(sent) => return Some(CallReturn::Request(sent, result)),
            Task::Health => {
                self.on_late_return();
                return Some(CallReturn::Health(result));
            }
            Task::Create => self.on_created(result.outcome),
            Task::Tick => self.on_ticked(result.outcome),
            Task::Flush => self.on_flushed(result.outcome),
            Task::Close => self.on_closed(result.outcome).await,
        }
        None
    }

    fn on_created(&mut self, outcome: Outcome) {
        match outcome {
            Ok(()) => {
                self.lifecycle = Lifecycle::Ready;
                self.created = Instant::now();
                self.reporter
                    .status()
                    .update(|status| status.has_started = true);
                if !self.is_unproven {
                    self.failed_starts = 0;
                    self.reporter.running();
                }
            }
            Err(Failure::Misconfigured { message }) => {
                self.caller.abandon();
                self.disable(State::Failed, &format!("refused its config: {message}"));
            }
            Err(failure) => self.on_failed_start(&failure),
        }
    }

    fn on_failed_start(&mut self, failure: &Failure) {
        self.caller.abandon();
        let error = format!("cannot start: {failure}");
        self.reporter.failed(State::Retrying, &error);
        self.create_later();
    }

    fn on_ticked(&mut self, outcome: Outcome) {
        self.on_late_return();
        let Err(failure) = outcome else {
            if self.is_unproven && self.created.elapsed() > LONG_LIFE {
                self.on_proven();
                self.reporter.running();
            }
            return;
        };
        self.reporter.call_failed("tick", &failure);
        if let Failure::Fatal { .. } = failure {
            self.restart_unproven();
        }
    }

    fn on_flushed(&mut self, outcome: Outcome) {
        self.on_late_return();
        if let Err(failure) = outcome {
            self.reporter.call_failed("flush", &failure);
        }
        self.caller.call_to_stop(Task::Close, Call::Close);
    }

    async fn on_closed(&mut self, outcome: Outcome) {
        let is_restart = self.lifecycle == Lifecycle::Closing { restart: true };
        match outcome {
            Err(failure) if !is_restart => self.reporter.call_failed("close", &failure),
            // An instance that is replaced is broken anyway.
            Ok(()) | Err(_) => {}
        }
        if !self.caller.end().await {
            log::warn!(target: LOG, exporter = self.reporter.exporter(); "the plugin does not drop its instance; the thread is abandoned");
        }
        self.on_ended();
    }

    /// The process of the instance has ended.
    fn on_death(&mut self, task: &Task, death: &ProcessDeath) {
        self.caller.abandon();
        self.is_unproven = true;
        if !matches!(self.lifecycle, Lifecycle::Closing { .. }) {
            self.count_restart(RestartReason::from(&death.cause));
        }
        let during = match task {
            _ if !death.in_call => String::new(),
            task => format!(", in {}", task.description()),
        };
        let state = if death.cause == DeathCause::Deadline {
            State::Stuck
        } else {
            self.deaths_in_a_row += 1;
            State::Retrying
        };
        self.reporter.failed(state, &format!("{death}{during}"));
    }

    /// The instance works: how earlier ones ended does not matter any more.
    fn on_proven(&mut self) {
        self.is_unproven = false;
        self.failed_starts = 0;
        self.deaths_in_a_row = 0;
    }

    fn on_thread_ended(&mut self) {
        self.reporter
            .failed(State::Retrying, "the thread of its instance ended");
        self.count_restart(RestartReason::Thread);
        self.caller.abandon();
        self.is_unproven = true;
        self.create_later();
    }

    /// A stuck call without rows returned after all. A late `export` or `create`
    /// shows the state by its result.
    fn on_late_return(&self) {
        let state = self.reporter.status().view().state;
        if !self.is_unproven && matches!(state, State::Stuck | State::Quarantined) {
            self.reporter.running();
        }
    }

    fn on_stuck(&self) {
        self.reporter.status().update(|status| status.hangs += 1);
        let timeout = humantime::format_duration(self.config.timeout);
        let call = self.caller.task().map(Task::description);
        let call = call.unwrap_or_else(|| "a call".to_owned());
        let error = format!("{call} is past its deadline of {timeout}");
        self.reporter.failed(State::Stuck, &error);
    }

    /// Replaces the instance of a lost call, unless a second instance would
    /// conflict with the first, or too many threads hang already.
    fn on_lost(&mut self) {
        let name = self.caller.task().map_or("no call", Task::name);
        let is_exclusive = self.plugin.as_ref().map_or(true, |plugin| plugin.exclusive);
        if is_exclusive {
            // If the call returns after all, its result counts and delivery goes on.
            let error = format!(
                "{name} does not return, and the exporter allows one instance only (find out what the \
                 call waits for; a reload replaces the instance)"
            );
            return self.reporter.failed(State::Quarantined, &error);
        }
        self.caller.abandon();
        if self.lifecycle == (Lifecycle::Closing { restart: false }) {
            self.lifecycle = Lifecycle::Closed;
        } else if self.caller.may_start_thread() {
            let error = format!("{name} does not return; a new instance replaces this one");
            self.reporter.failed(State::Retrying, &error);
            self.count_restart(RestartReason::Deadline);
            self.lifecycle = Lifecycle::Absent {
                not_before: Instant::now(),
            };
        } else {
            let error = format!(
                "{} threads hang, the last one in {name} (find out what they wait for, then reload)",
                self.caller.abandoned()
            );
            self.disable(State::Quarantined, &error);
        }
    }

    /// Replaces an instance that has failed. The wait before the next one grows until one works.
    fn restart_unproven(&mut self) {
        self.is_unproven = true;
        self.restart();
    }

    /// Closes an instance, to create another one.
    fn restart(&mut self) {
        if self.caller.has_instance() {
            self.lifecycle = Lifecycle::Closing { restart: true };
            self.caller.call_to_stop(Task::Close, Call::Close);
        } else {
            self.on_ended();
        }
    }

    /// As [`Self::restart`], without a wait if there is no instance.
    fn restart_now(&mut self) {
        if self.caller.has_instance() {
            return self.restart();
        }
        self.lifecycle = Lifecycle::Absent {
            not_before: Instant::now(),
        };
    }

    /// There is no instance any more. Creates another one, unless the exporter stops.
    fn on_ended(&mut self) {
        if self.lifecycle == (Lifecycle::Closing { restart: false }) {
            self.lifecycle = Lifecycle::Closed;
        } else {
            self.create_later();
        }
    }

    /// Creates the next instance after a backoff.
    fn create_later(&mut self) {
        if self.panics_in_a_row >= MAX_PANICS {
            let error = format!(
                "its plugin panicked {MAX_PANICS} times in a row (replace or fix the plugin, then reload)"
            );
            return self.disable(State::Quarantined, &error);
        }
        if self.deaths_in_a_row >= MAX_DEATHS {
            let last = self.reporter.status().view().last_error.unwrap_or_default();
            let error = format!(
                "its process ended {MAX_DEATHS} times without a delivery in between, the last time: {last} \
                 (replace or fix the plugin, then reload)"
            );
            return self.disable(State::Quarantined, &error);
        }
        self.failed_starts = self.failed_starts.saturating_add(1);
        let wait = backoff::wait(&self.config.retry, self.failed_starts, None);
        self.lifecycle = Lifecycle::Absent {
            not_before: Instant::now() + wait,
        };
    }

    fn disable(&mut self, state: State, error: &str) {
        self.lifecycle = Lifecycle::Disabled;
        self.reporter.failed(state, error);
    }

    fn count_restart(&self, reason: RestartReason) {
        self.reporter
            .status()
            .update(|status| status.restarts.count(reason));
    }
}
