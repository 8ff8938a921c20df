//! Ends its process by a signal, or by the C library.

use std::process;

use super::hang;
use crate::sabotage::end::in_a_thread;

pub(super) fn run(word: &str) -> bool {
    match word {
        // SAFETY: it ends the process at once.
        "exit-at-once" => unsafe { libc::_exit(3) },
        "thread-raise" => in_a_thread(|| raise(libc::SIGFPE)),
        "raise-kill" => raise(libc::SIGKILL),
        "raise-term" => raise(libc::SIGTERM),
        "abort-at-exit" => at_exit(abort_at_exit),
        "hang-at-exit" => at_exit(hang_at_exit),
        _ => return false,
    }
    true
}

fn raise(signal: i32) {
    // SAFETY: it sends a signal to this thread.
    unsafe { libc::raise(signal) };
}

fn at_exit(end: extern "C" fn()) {
    // SAFETY: the function exists until the process ends, because the library does.
    unsafe { libc::atexit(end) };
}

extern "C" fn abort_at_exit() {
    process::abort();
}

extern "C" fn hang_at_exit() {
    hang();
}
