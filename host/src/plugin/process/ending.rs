//! Why and when a supervisor ends its process: first SIGTERM, then SIGKILL.

use std::{
    fmt::Display,
    io,
    process::ExitStatus,
    time::{Duration, Instant},
};

use rustix::{
    event::Timespec,
    process::{Signal, kill_process_group, pidfd_send_signal},
};

use super::spawn::Spawned;
use crate::plugin::death::DeathCause;

/// How long a call may take to return after the message `cancel`.
const CANCEL_TIME: Duration = Duration::from_millis(500);

/// How long a process may take to end after SIGTERM, and after it has closed its
/// connection.
pub(in crate::plugin) const KILL_AFTER: Duration = Duration::from_secs(1);

/// What the supervisor of a process has decided about its end.
#[derive(Debug, Default)]
pub(in crate::plugin) struct Ending {
    /// Why the host ends the process, if it does.
    pub(in crate::plugin) cause: Option<DeathCause>,
    /// When to send SIGTERM, and SIGKILL.
    pub(in crate::plugin) terminate_at: Option<Instant>,
    kill_at: Option<Instant>,
}

impl Ending {
    /// The call in progress is past its deadline, and was asked to return.
    pub(in crate::plugin) fn on_cancel(&mut self) {
        self.cause = Some(DeathCause::Deadline);
        self.terminate_at = Some(Instant::now() + CANCEL_TIME);
    }

    /// The call in progress has returned: if only its deadline was the cause, the process can
    /// be called again.
    pub(in crate::plugin) fn withdraw_cancel(&mut self) {
        if self.cause == Some(DeathCause::Deadline) && self.kill_at.is_none() {
            self.cause = None;
            self.terminate_at = None;
        }
    }

    /// A message could not be sent. If the process has ended, its end says more.
    pub(in crate::plugin) fn on_unsent(&mut self, error: impl Display) {
        self.on_closed();
        self.cause
            .get_or_insert(DeathCause::Protocol(format!("it does not read: {error}")));
    }

    /// The process has closed its connection, as one that is about to end does.
    pub(in crate::plugin) fn on_closed(&mut self) {
        self.kill_at.get_or_insert(Instant::now() + KILL_AFTER);
    }

    /// A message of the process breaks the protocol.
    pub(in crate::plugin) fn on_broken(&mut self, reason: String) {
        self.cause.get_or_insert(DeathCause::Protocol(reason));
        self.kill_at = Some(Instant::now());
    }

    /// How long a wait may take, until a signal or something else is due.
    pub(in crate::plugin) fn timeout(&self, other: Option<Instant>) -> Option<Timespec> {
        let due = [self.terminate_at, self.kill_at, other];
        due.into_iter().flatten().min().map(|due| {
            let left = due.saturating_duration_since(Instant::now());
            // Rounded up, so that the time has come when the wait ends.
            Timespec::try_from(left + Duration::from_millis(1)).unwrap_or_default()
        })
    }

    /// Sends the signals that are due. `is_closed`: the process has closed its connection,
    /// and should not have.
    pub(in crate::plugin) fn signal_when_due(&mut self, process: &Spawned, is_closed: bool) {
        let now = Instant::now();
        if self.terminate_at.is_some_and(|at| at <= now) {
            self.terminate_at = None;
            self.kill_at.get_or_insert(now + KILL_AFTER);
            // It fails only if the process has ended.
            let _ = pidfd_send_signal(&process.pidfd, Signal::TERM);
        }
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = Some(now + KILL_AFTER);
            if is_closed {
                let closed = DeathCause::Protocol("it closed its connection".to_owned());
                self.cause.get_or_insert(closed);
            }
            let _ = kill_process_group(process.pid, Signal::KILL);
            let _ = pidfd_send_signal(&process.pidfd, Signal::KILL);
        }
    }

    /// How a process has ended: the cause of the host, if it had one.
    pub(in crate::plugin) fn cause_of(&mut self, status: io::Result<ExitStatus>) -> DeathCause {
        let how = status.map_or(DeathCause::Exit(0), DeathCause::of);
        self.cause.take().unwrap_or(how)
    }
}
