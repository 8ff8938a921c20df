//! Why and when a supervisor ends its process: first SIGTERM, then SIGKILL.

use std::{
    io,
    process::ExitStatus,
    time::{Duration, Instant},
};

use crate::{platform::ChildProcess, plugin::death::DeathCause};

/// How long a call may take to return after the message `cancel`.
const CANCEL_TIME: Duration = Duration::from_millis(500);

/// How long a process may take to end after SIGTERM, and after it has closed its
/// connection.
const KILL_AFTER: Duration = Duration::from_secs(1);

/// What the supervisor of a process has decided about its end.
#[derive(Debug, Default)]
pub(in crate::plugin) struct Ending {
    /// Why the host ends the process, if it does.
    pub(super) cause: Option<DeathCause>,
    /// When to send SIGTERM, and SIGKILL.
    terminate_at: Option<Instant>,
    kill_at: Option<Instant>,
    /// Whether the process should exit.
    is_released: bool,
}

impl Ending {
    /// The call in progress is past its deadline, and was asked to return.
    pub(super) fn on_cancel(&mut self) {
        self.cause = Some(DeathCause::Deadline);
        self.terminate_at = Some(Instant::now() + CANCEL_TIME);
    }

    /// The call in progress has returned: if only its deadline was the cause, the process can
    /// be called again.
    pub(in crate::plugin) fn withdraw_cancel(&mut self) {
        let is_late_call = self.cause == Some(DeathCause::Deadline) && self.kill_at.is_none();
        if is_late_call && !self.is_released {
            self.cause = None;
            self.terminate_at = None;
        }
    }

    /// The process should exit by then.
    pub(super) fn on_release(&mut self, by: Instant) {
        self.is_released = true;
        self.terminate_at = Some(self.terminate_at.map_or(by, |at| at.min(by)));
    }

    pub(in crate::plugin) fn is_released(&self) -> bool {
        self.is_released
    }

    /// A message could not be sent. If the process has ended, its end says more.
    pub(super) fn on_unsent(&mut self, error: &io::Error) {
        self.on_closed();
        if !matches!(
            error.kind(),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
        ) {
            let reason = format!("it cannot be sent a message: {error}");
            self.cause.get_or_insert(DeathCause::Protocol(reason));
        }
    }

    /// The process has closed its connection, as one that is about to end does.
    pub(super) fn on_closed(&mut self) {
        self.kill_at.get_or_insert(Instant::now() + KILL_AFTER);
    }

    /// A message of the process breaks the protocol.
    pub(super) fn on_broken(&mut self, reason: String) {
        self.cause.get_or_insert(DeathCause::Protocol(reason));
        self.kill_at = Some(Instant::now());
    }

    /// When the next signal is due.
    pub(super) fn due(&self) -> Option<Instant> {
        [self.terminate_at, self.kill_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Sends the signals that are due. `is_closed`: the process has closed its connection,
    /// and should not have.
    pub(super) fn signal_when_due(&mut self, process: &ChildProcess, is_closed: bool) {
        let now = Instant::now();
        if self.terminate_at.is_some_and(|at| at <= now) {
            self.terminate_at = None;
            self.kill_at.get_or_insert(now + KILL_AFTER);
            process.terminate();
        }
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = Some(now + KILL_AFTER);
            if is_closed {
                let closed = DeathCause::Protocol("it closed its connection".to_owned());
                self.cause.get_or_insert(closed);
            }
            process.kill();
        }
    }

    /// How a process has ended: the cause of the host, if it had one.
    pub(super) fn cause_of(&mut self, status: io::Result<ExitStatus>) -> DeathCause {
        let how = status.map_or(DeathCause::Exit(0), DeathCause::of);
        self.cause.take().unwrap_or(how)
    }
}
