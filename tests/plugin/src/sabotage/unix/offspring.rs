//! Starts processes that keep what it has, and never end by themselves.

#![expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one argument holds for all of them"
)]

use std::process;

use super::hang;

/// How many processes `fork-many` starts.
const MANY: u32 = 20;

pub(super) fn run(word: &str) -> bool {
    match word {
        "fork" => fork(false),
        "fork-away" => fork(true),
        "fork-and-abort" => {
            fork(false);
            process::abort();
        }
        "fork-away-and-abort" => {
            fork(true);
            process::abort();
        }
        "fork-many-and-exit" => {
            (0..MANY).for_each(|number| fork(number % 2 == 0));
            process::exit(9);
        }
        _ => return false,
    }
    true
}

/// With `is_daemon`, the process has a session of its own, and the one that has started it
/// has ended.
fn fork(is_daemon: bool) {
    // SAFETY: the children call only functions that are allowed after a fork.
    unsafe {
        if libc::fork() == 0 {
            if is_daemon {
                libc::setsid();
                if libc::fork() != 0 {
                    libc::_exit(0);
                }
            }
            libc::signal(libc::SIGTERM, libc::SIG_IGN);
            hang();
        }
    }
}
