//! What a broken plugin does to its process.

#![expect(unsafe_code, reason = "it is about what the compiler does not prevent")]

use std::{fs, hint::black_box, process, ptr, thread, time::Duration};

/// The name of a row that ends the process with the script `poison`.
const POISON: &str = "poison";

/// Does what the word says. Other words do nothing.
pub(crate) fn run(word: &str, rows: &str) {
    match word {
        "abort" => process::abort(),
        "segfault" => segfault(),
        "exit" => process::exit(0),
        "thread-segfault" => in_a_thread(segfault),
        "thread-abort" => in_a_thread(|| process::abort()),
        "abort-at-exit" => abort_at_exit(),
        "thread-exit" => in_a_thread(|| process::exit(7)),
        "stack-overflow" => {
            black_box(recurse(1));
        }
        "memory" => {
            let bytes = vec![1_u8; 1 << 30];
            black_box(&bytes);
        }
        "close-descriptors" => close_descriptors(),
        "fill-stderr" => fill_stderr(),
        "poison" if rows.contains(POISON) => segfault(),
        _ => {}
    }
}

fn segfault() {
    // SAFETY: none, that is the point: nothing is mapped there.
    unsafe { ptr::without_provenance::<u8>(8).read_volatile() };
}

/// The call does not return before the thread has ended the process.
fn in_a_thread(end: fn()) {
    thread::spawn(end);
    thread::sleep(Duration::from_mins(1));
}

/// Aborts when the process exits.
fn abort_at_exit() {
    unsafe extern "C" {
        safe fn atexit(end: extern "C" fn()) -> i32;
    }
    extern "C" fn end() {
        process::abort();
    }
    atexit(end);
}

#[expect(unconditional_recursion, reason = "it overflows the stack")]
fn recurse(depth: u64) -> u64 {
    black_box([depth; 64]);
    recurse(depth + 1) + depth
}

fn close_descriptors() {
    let is_open = |number: &i32| fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok();
    for number in (3..1024).filter(is_open) {
        // SAFETY: none, that is the point: others own them.
        unsafe { rustix::io::close(number) }
    }
}

#[expect(clippy::print_stderr, reason = "the process writes to standard error")]
fn fill_stderr() {
    for line in 0..10_000 {
        eprintln!("line {line} {}", "x".repeat(6000));
    }
}
