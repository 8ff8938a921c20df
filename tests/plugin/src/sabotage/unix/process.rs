//! Changes its process so that it is hard to end, or that others would notice it if they
//! shared the process.

#![expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one argument holds for all of them"
)]

use std::{env, mem, ptr};

use super::hang;

/// A user and group that own nothing.
const NO_ONE: u32 = 65534;

pub(super) fn run(word: &str) -> bool {
    match word {
        "hang" => hang(),
        "loop" => burn(),
        "hang-without-term" => {
            ignore_signals();
            hang();
        }
        "hang-without-signals" => hang_without_signals(),
        "hang-as-no-one" => {
            become_no_one();
            hang();
        }
        "become-no-one" => become_no_one(),
        "interrupt" => interrupt(),
        "alarm" => {
            // SAFETY: it has no memory operand.
            unsafe { libc::alarm(1) };
        }
        "stop-itself" => kill(0, libc::SIGSTOP),
        "kill-group" => kill(0, libc::SIGTERM),
        "ignore-signals" => ignore_signals(),
        "block-signals" => block_signals(),
        "handle-signals" => handle_signals(),
        "outlive" => {
            ignore_signals();
            // SAFETY: it has no memory operand.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) };
        }
        "change-folder" => drop(env::set_current_dir("/")),
        "umask" => {
            // SAFETY: it has no memory operand.
            unsafe { libc::umask(0) };
        }
        "replace-itself" => replace_itself(),
        "write-no-files" => limit(libc::RLIMIT_FSIZE, 0),
        "use-up-time" => {
            limit(libc::RLIMIT_CPU, 1);
            burn();
        }
        "call-nothing" => {
            // SAFETY: from now on, the kernel ends the process at most system calls.
            unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
        }
        _ => return false,
    }
    true
}

pub(super) fn hang_without_signals() -> ! {
    block_signals();
    hang();
}

/// Does not look whether it is cancelled.
fn burn() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

fn kill(pid: i32, signal: i32) {
    // SAFETY: it has no memory operand. 0 is the own group.
    unsafe { libc::kill(pid, signal) };
}

fn each_signal(act: impl Fn(i32)) {
    // Not those that a fault raises: the standard library handles them.
    let faults = [libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT, libc::SIGILL];
    (1..32)
        .filter(|signal| !faults.contains(signal))
        .for_each(act);
}

fn ignore_signals() {
    each_signal(|signal| {
        // SAFETY: ignoring a signal runs no code.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    });
}

fn handle_signals() {
    let handler: extern "C" fn(i32) = on_signal;
    each_signal(|signal| {
        // SAFETY: the handler does nothing.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    });
}

extern "C" fn on_signal(_: i32) {}

/// From now on, a signal interrupts each wait after a millisecond.
fn interrupt() {
    let handler: extern "C" fn(i32) = on_signal;
    let every = libc::timeval {
        tv_sec: 0,
        tv_usec: 1000,
    };
    let timer = libc::itimerval {
        it_interval: every,
        it_value: every,
    };
    // SAFETY: the handler does nothing; zero is a valid action without flags, so that calls are
    // not continued; both outlive the calls that read them.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut());
        libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut());
    }
}

fn block_signals() {
    // SAFETY: the set is initialised by `sigfillset`, and outlives the call that reads it.
    unsafe {
        let mut all = mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const all, ptr::null_mut());
    }
}

/// Works only for root.
fn become_no_one() {
    // SAFETY: they have no memory operands.
    unsafe {
        libc::setgid(NO_ONE);
        libc::setuid(NO_ONE);
    }
}

fn limit(resource: libc::__rlimit_resource_t, limit: u64) {
    let limit = libc::rlimit {
        rlim_cur: limit,
        rlim_max: limit,
    };
    // SAFETY: the limit outlives the call.
    unsafe { libc::setrlimit(resource, &raw const limit) };
}

fn replace_itself() {
    let arguments = [c"sleep".as_ptr(), c"600".as_ptr(), ptr::null()];
    // SAFETY: the array ends with a null pointer, and its texts are constants.
    unsafe { libc::execv(c"/bin/sleep".as_ptr(), arguments.as_ptr()) };
}
