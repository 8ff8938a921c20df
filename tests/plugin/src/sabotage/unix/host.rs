//! Reaches for the host itself, where the kernel can keep a process from it.

#![expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one argument holds for all of them"
)]

use std::ptr;

use super::process::hang_without_signals;

/// The first version of Landlock that keeps signals inside.
const SCOPED_SIGNALS: i64 = 6;

/// Flag of `landlock_create_ruleset`: returns the version.
const VERSION: u32 = 1;

pub(super) fn run(word: &str) -> bool {
    match word {
        "signal-host" => if_separated(signal_host),
        "trace-host" => if_separated(trace_host),
        "kill-group-of-host" => if_separated(|| {
            join_group_of_host();
            // SAFETY: it has no memory operand. 0 is the own group.
            unsafe { libc::kill(0, libc::SIGTERM) };
        }),
        "hang-in-group-of-host" => {
            join_group_of_host();
            hang_without_signals();
        }
        _ => return false,
    }
    true
}

/// Older kernels cannot separate processes of one user.
fn if_separated(act: impl FnOnce()) {
    // SAFETY: with this flag and no attributes, it only returns a number.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::null::<u8>(),
            0_usize,
            VERSION,
        )
    };
    if version >= SCOPED_SIGNALS {
        act();
    }
}

fn signal_host() {
    for signal in [libc::SIGTERM, libc::SIGSTOP, libc::SIGKILL] {
        // SAFETY: it has no memory operand.
        unsafe { libc::kill(libc::getppid(), signal) };
    }
}

fn trace_host() {
    // SAFETY: attaching uses no address.
    unsafe {
        libc::ptrace(
            libc::PTRACE_ATTACH,
            libc::getppid(),
            ptr::null_mut::<u8>(),
            ptr::null_mut::<u8>(),
        );
    }
}

fn join_group_of_host() {
    // SAFETY: they have no memory operands.
    unsafe { libc::setpgid(0, libc::getpgid(libc::getppid())) };
}
