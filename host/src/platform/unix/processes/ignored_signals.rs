//! Ignored signals, which a program inherits from the one that has started it.

#![expect(unsafe_code, reason = "no safe function sets the action of a signal")]

use std::io;

use procfs::process::Process;
use rustix::process::Signal;

/// The process of an exporter ignores none of them. SIGPIPE stays as the standard library sets it.
pub(super) fn restore_all() -> io::Result<()> {
    restore(|signal| signal != Signal::PIPE.as_raw())
}

/// While a process ignores SIGCHLD, the kernel does not keep how a child has ended, nor its number.
pub(super) fn restore_child() -> io::Result<()> {
    restore(|signal| signal == Signal::CHILD.as_raw())
}

/// Sets ignored signals to their default action.
fn restore(is_wanted: impl Fn(i32) -> bool) -> io::Result<()> {
    let status = Process::myself().and_then(|process| process.status());
    let ignored = status.map_err(io::Error::other)?.sigign;
    let is_ignored = |signal: &i32| ignored >> (signal - 1) & 1 == 1;
    for signal in (1..=64).filter(is_ignored).filter(|&s| is_wanted(s)) {
        // SAFETY: the default action runs no code of this process. Of signals that the C library
        // keeps for itself, the call changes nothing.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    Ok(())
}
