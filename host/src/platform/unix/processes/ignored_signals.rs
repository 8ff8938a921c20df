//! Ignored signals, which a program inherits from the one that has started it.

#![expect(unsafe_code, reason = "no safe function sets the action of a signal")]

use std::{mem::MaybeUninit, ptr};

use rustix::process::Signal;

/// The process of an exporter ignores none of them. SIGPIPE stays as the standard library sets it.
pub(super) fn restore_all() {
    restore(|signal| signal != Signal::PIPE.as_raw());
}

/// While a process ignores SIGCHLD, the kernel does not keep how a child has ended, nor its number.
pub(super) fn restore_child() {
    restore(|signal| signal == Signal::CHILD.as_raw());
}

/// Sets ignored signals to their default action.
fn restore(is_wanted: impl Fn(i32) -> bool) {
    for signal in (1..=64).filter(|&signal| is_wanted(signal) && is_ignored(signal)) {
        // SAFETY: the default action runs no code of this process.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Not a signal that the C library keeps for itself: it tells nothing of those.
fn is_ignored(signal: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: no action is set, and the present one is written.
    let read = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: the structure was zeroed, and each of its members may be zero.
    let action = unsafe { action.assume_init() };
    read == 0 && action.sa_sigaction == libc::SIG_IGN
}
