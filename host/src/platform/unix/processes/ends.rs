//! How processes end: the signals that end them.

use std::{fmt, os::unix::process::ExitStatusExt, process::ExitStatus};

use rustix::process::Signal;

/// A signal that ends a process; shown by its name, or its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeathSignal(pub(crate) i32);

/// The number of the signal that has ended a process, if one has.
pub(crate) fn signal_of(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// Whether a person or the system may have sent the signal, as when no memory is left.
pub(crate) fn is_from_outside(signal: i32) -> bool {
    let outside = [
        Signal::KILL,
        Signal::TERM,
        Signal::INT,
        Signal::HUP,
        Signal::QUIT,
    ];
    outside.iter().any(|known| known.as_raw() == signal)
}

impl fmt::Display for DeathSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        let known = names.iter().find(|(known, _)| known.as_raw() == self.0);
        match known {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}
