//! The life of an exporter's instances: made, used, closed, given up.

use std::time::Instant;

use delfin_plugin_api::{Failure, Outcome};

use super::{LOG, State, Task, Worker};
use crate::delivery::backoff;

/// So many panics in a row are enough.
const MOST_PANICS: u32 = 10;

/// What there is of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// None: one is made, but not before then.
    Absent { not_before: Instant },
    /// One, that can be called.
    Ready,
    /// One that is being closed, for another one to follow or not.
    Closing { restart: bool },
    /// None, and all is done.
    Closed,
    /// None, until somebody has acted.
    Off,
}

impl Worker {
    /// Finds out whether there will ever be an instance.
    pub(super) fn begin(&mut self) {
        if let Err(reason) = &self.delivery.plugin {
            let reason = reason.clone();
            self.off(State::Failed, &reason);
        } else if let Some(verdict) = self.caller.verdict() {
            self.off(State::Quarantined, &verdict);
        }
    }

    /// Begins to make an instance, once it is time.
    pub(super) fn create(&mut self, not_before: Instant) {
        let now = Instant::now();
        if not_before > now {
            self.wake = self.wake.min(not_before);
            return;
        }
        let Ok(offered) = &self.delivery.plugin else {
            return;
        };
        let Some(turn) = self.caller.has_turn() else {
            self.wake = now + super::SOON;
            return;
        };
        let (config, host) = (&self.delivery.config, self.delivery.host.clone());
        if let Err(error) = self.caller.create(offered, config, host, turn) {
            self.start_later(&Failure::retry(format!("no thread for it: {error}")));
        }
    }

    pub(super) fn created(&mut self, outcome: Outcome) {
        match outcome {
            Ok(()) => {
                self.failed_starts = 0;
                self.life = Life::Ready;
                let before = self.status.set(State::Running);
                self.recovered(before);
            }
            Err(Failure::Misconfigured { message }) => {
                self.caller.leave();
                self.off(State::Failed, &format!("refused its config: {message}"));
            }
            Err(failure) => self.start_later(&failure),
        }
    }

    fn start_later(&mut self, failure: &Failure) {
        self.caller.leave();
        self.failed(State::Retrying, &format!("cannot start: {failure}"));
        self.absent();
    }

    /// Waits, longer each time, before the next instance is made.
    fn absent(&mut self) {
        if self.panics_in_a_row >= MOST_PANICS {
            let error = format!(
                "its plugin panicked {MOST_PANICS} times in a row (replace or mend it, then reload)"
            );
            return self.off(State::Quarantined, &error);
        }
        self.failed_starts = self.failed_starts.saturating_add(1);
        let wait = backoff::wait(&self.delivery.config.retry, self.failed_starts, None);
        self.life = Life::Absent {
            not_before: Instant::now() + wait,
        };
    }

    /// Closes an instance that is beyond use, to make another one.
    pub(super) fn restart(&mut self) {
        self.status.update(|status| status.restarts += 1);
        if self.caller.has_instance() {
            self.life = Life::Closing { restart: true };
            self.caller.close();
        } else {
            self.absent();
        }
    }

    pub(super) fn thread_ended(&mut self) {
        self.failed(State::Retrying, "its thread ended");
        self.status.update(|status| status.restarts += 1);
        self.caller.leave();
        self.absent();
    }

    pub(super) fn flushed(&mut self, outcome: Outcome) {
        if let Err(failure) = outcome {
            self.complain("flush", &failure);
        }
        self.caller.close();
    }

    pub(super) async fn closed(&mut self, outcome: Outcome) {
        let restart = self.life == Life::Closing { restart: true };
        match outcome {
            Err(failure) if !restart => self.complain("close", &failure),
            // It is beyond use anyway.
            Ok(()) | Err(_) => {}
        }
        if !self.caller.end().await {
            log::warn!(target: LOG, exporter = self.name(); "an instance does not end; its thread is left behind");
        }
        if restart {
            self.absent();
        } else {
            self.life = Life::Closed;
        }
    }

    pub(super) fn tick_answered(&mut self, outcome: Outcome) {
        let Err(failure) = outcome else { return };
        self.complain("tick", &failure);
        // Nothing waits on a tick but the next one.
        if let Failure::Fatal { .. } = failure {
            self.restart();
        }
    }

    /// A call that was late has come back; what it says of rows, or of the
    /// instance, is seen to elsewhere.
    pub(super) fn came_back(&self, task: &Task) {
        let state = self.status.view().state;
        let was_late = matches!(state, State::Stuck | State::Quarantined);
        if was_late && matches!(task, Task::Tick | Task::Flush) {
            self.status.set(State::Running);
            self.recovered(state);
        }
    }

    /// A call is past its deadline.
    pub(super) fn overdue(&self) {
        self.status.update(|status| status.hangs += 1);
        let timeout = humantime::format_duration(self.delivery.config.timeout);
        self.failed(
            State::Stuck,
            &format!("a call is past its deadline of {timeout}"),
        );
    }

    /// A call may never come back: another instance takes over, unless it would
    /// exclude the first, or too many threads hang already.
    pub(super) fn lost(&mut self) {
        let name = self.caller.task();
        let exclusive = match &self.delivery.plugin {
            Ok(plugin) => plugin.exclusive,
            Err(_) => true,
        };
        if exclusive {
            // If it comes back after all, the exporter goes on with its answer.
            let error = format!(
                "{name} does not come back, and a second instance would exclude the first (find out \
                 what it waits for; a reload makes a new instance all the same)"
            );
            return self.failed(State::Quarantined, &error);
        }
        self.caller.leave();
        if self.life == (Life::Closing { restart: false }) {
            self.life = Life::Closed;
        } else if self.caller.may_risk_another() {
            self.failed(
                State::Retrying,
                &format!("{name} does not come back; another instance takes over"),
            );
            self.status.update(|status| status.restarts += 1);
            self.life = Life::Absent {
                not_before: Instant::now(),
            };
        } else {
            let error = format!(
                "{} of its threads hang, the last in {name} (find out what they wait for, then reload)",
                self.caller.left_behind()
            );
            self.off(State::Quarantined, &error);
        }
    }

    /// There is no instance, until somebody has acted.
    fn off(&mut self, state: State, error: &str) {
        self.life = Life::Off;
        self.failed(state, error);
    }

    /// Somebody has acted: looks again at once.
    pub(super) fn resume(&mut self) {
        self.breaker.hurry();
        self.window.hurry();
        self.letters.due = Instant::now();
        if self.status.view().state == State::Quarantined {
            self.caller.leave();
        }
        if self.life == Life::Off && self.delivery.plugin.is_ok() {
            self.caller.acquit();
            self.panics_in_a_row = 0;
            self.status.set(State::Starting);
        }
        if self.delivery.plugin.is_ok() && !self.caller.has_instance() {
            self.failed_starts = 0;
            self.life = Life::Absent {
                not_before: Instant::now(),
            };
        }
    }
}
