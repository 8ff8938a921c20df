//! How the process of an exporter ended.

use std::{fmt, os::unix::process::ExitStatusExt, process::ExitStatus};

use rustix::process::Signal;
use tokio::sync::oneshot;

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
        match status.signal() {
            Some(signal) => Self::Signal(signal),
            None => Self::Exit(status.code().unwrap_or_default()),
        }
    }

    /// Whether the process itself may be the reason: not if the host has ended it, and not
    /// if a signal came from outside, as from a person or when no memory is left.
    fn is_own(&self) -> bool {
        let outside = [
            Signal::KILL,
            Signal::TERM,
            Signal::INT,
            Signal::HUP,
            Signal::QUIT,
        ];
        match self {
            Self::Signal(signal) => outside.iter().all(|known| known.as_raw() != *signal),
            Self::Exit(_) | Self::Protocol(_) => true,
            Self::Deadline => false,
        }
    }
}

impl ProcessDeath {
    /// Whether the rows of the call may be the reason.
    #[must_use]
    pub fn suspects_rows(&self) -> bool {
        self.in_call && self.cause.is_own()
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
            Self::Signal(signal) => write!(f, "died: {}", signal_name(*signal)),
            Self::Exit(code) => write!(f, "ended with exit code {code}"),
            Self::Deadline => f.write_str("was ended: a call was past its deadline"),
            Self::Protocol(reason) => write!(f, "was ended: {reason}"),
        }
    }
}

/// The name of a signal, or its number.
fn signal_name(signal: i32) -> String {
    let names = [
        (Signal::SEGV, "SIGSEGV"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::ILL, "SIGILL"),
        (Signal::KILL, "SIGKILL"),
        (Signal::TERM, "SIGTERM"),
        (Signal::INT, "SIGINT"),
        (Signal::HUP, "SIGHUP"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::SYS, "SIGSYS"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
    ];
    let known = names.iter().find(|(known, _)| known.as_raw() == signal);
    known.map_or_else(
        || format!("signal {signal}"),
        |(_, name)| (*name).to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_suspects_only_if_the_process_ended_by_itself_in_their_call() {
        let suspects = |cause, in_call| ProcessDeath { cause, in_call }.suspects_rows();
        assert!(suspects(DeathCause::Signal(Signal::SEGV.as_raw()), true));
        assert!(suspects(DeathCause::Exit(0), true));
        assert!(!suspects(DeathCause::Signal(Signal::SEGV.as_raw()), false));
        assert!(!suspects(DeathCause::Signal(Signal::KILL.as_raw()), true));
        assert!(!suspects(DeathCause::Deadline, true));
    }
}
