//! How the process of an exporter ended.

use std::{fmt, process::ExitStatus};

use tokio::sync::oneshot;

use crate::platform::{DeathSignal, is_from_outside, signal_of};

/// The end of an exporter's process that the host did not ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessDeath {
    pub cause: DeathCause,
    /// Whether the process had got the call. Else it ended before.
    pub in_call: bool,
}

/// Tells when a thread or process has ended, by the end of its sender; and how, if a process
/// did not exit cleanly when it was told to.
pub type Ended = oneshot::Receiver<ProcessDeath>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeathCause {
    /// The number of the signal.
    Signal(i32),
    /// The exit code.
    Exit(i32),
    /// The host killed it, because a call was past its deadline.
    Deadline,
    /// The host killed it, because it broke the protocol.
    Protocol(String),
}

impl DeathCause {
    pub(super) fn of(status: ExitStatus) -> Self {
        match signal_of(status) {
            Some(signal) => Self::Signal(signal),
            None => Self::Exit(status.code().unwrap_or_default()),
        }
    }
}

impl ProcessDeath {
    /// Whether the rows of the call may be the reason.
    #[must_use]
    pub fn suspects_rows(&self) -> bool {
        self.in_call && self.cause != DeathCause::Deadline
    }

    /// Whether a person or the system may have ended the process, as when no memory is left.
    #[must_use]
    pub fn may_be_from_outside(&self) -> bool {
        matches!(self.cause, DeathCause::Signal(signal) if is_from_outside(signal))
    }
}

impl fmt::Display for ProcessDeath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the exporter process {}", self.cause)
    }
}

/// The text continues after the process.
impl fmt::Display for DeathCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => write!(f, "died: {}", DeathSignal(*signal)),
            Self::Exit(code) => write!(f, "ended with exit code {code}"),
            Self::Deadline => f.write_str("was ended: a call was past its deadline"),
            Self::Protocol(reason) => write!(f, "was ended: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::Signal;

    use super::*;

    #[test]
    fn rows_are_suspects_only_if_the_process_ended_by_itself_in_their_call() {
        let suspects = |cause, in_call| {
            let death = ProcessDeath { cause, in_call };
            death.suspects_rows().then(|| !death.may_be_from_outside())
        };
        let signal = |signal: Signal| DeathCause::Signal(signal.as_raw());
        assert_eq!(suspects(signal(Signal::SEGV), true), Some(true));
        assert_eq!(suspects(DeathCause::Exit(0), true), Some(true));
        assert_eq!(suspects(signal(Signal::KILL), true), Some(false));
        assert_eq!(suspects(signal(Signal::SEGV), false), None);
        assert_eq!(suspects(DeathCause::Deadline, true), None);
    }
}
