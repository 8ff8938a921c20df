//! The calls of `try`: one after the other, until one fails.

use std::time::{Duration, Instant};

use delfin_plugin_api::Failure;

use crate::plugin::{Call, CallResult, Instance, ProcessDeath, wait_for_result};

/// How long a process may take to end after a call past its deadline. It is
/// killed long before.
const KILL_PATIENCE: Duration = Duration::from_secs(30);

/// An instance, and how its calls went.
pub(super) struct TriedInstance {
    instance: Instance,
    timeout: Duration,
    failed: Option<FailedCall>,
}

/// The first call that failed.
#[derive(Debug)]
pub(super) struct FailedCall {
    /// `exit`: not a call, but the end of the process after the last one.
    pub(super) call: &'static str,
    pub(super) failure: Failure,
    pub(super) panicked: bool,
    /// How the process ended, if it did.
    pub(super) death: Option<ProcessDeath>,
    pub(super) took: Option<Duration>,
}

impl TriedInstance {
    pub(super) fn new(instance: Instance, timeout: Duration) -> Self {
        Self {
            instance,
            timeout,
            failed: None,
        }
    }

    /// Makes a call, and returns how long it took. `None` if it failed.
    pub(super) fn call(&mut self, name: &'static str, call: Call) -> Option<Duration> {
        let mut reply = self.instance.call(call, Instant::now() + self.timeout);
        let result = wait_for_result(&mut reply, Instant::now() + self.timeout);
        let result = result.or_else(|| {
            // The reply then says how the process has ended, at the latest when it was killed.
            self.instance.on_deadline();
            wait_for_result(&mut reply, Instant::now() + KILL_PATIENCE)
        });
        let CallResult {
            outcome,
            panicked,
            death,
            took,
            is_unsupported: _,
        } = result?;
        let Err(failure) = outcome else {
            return Some(took);
        };
        self.failed.get_or_insert(FailedCall {
            call: name,
            failure,
            panicked,
            death,
            took: Some(took),
        });
        None
    }

    /// Whether the process can be called.
    pub(super) fn is_alive(&self) -> bool {
        let death = self
            .failed
            .as_ref()
            .and_then(|failed| failed.death.as_ref());
        death.is_none()
    }

    /// Waits until the process has ended. Returns the first call that failed.
    pub(super) fn end(self) -> Option<FailedCall> {
        let death = self.instance.ended().blocking_recv().ok();
        let failed_exit = death.map(|death| FailedCall {
            call: "exit",
            failure: Failure::fatal(&death),
            panicked: false,
            death: Some(death),
            took: None,
        });
        self.failed.or(failed_exit)
    }
}
