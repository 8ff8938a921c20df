//! Ends its process, in every way.

use std::{cell::Cell, hint::black_box, process, thread};

use super::{hang, segfault};

pub(super) fn run(word: &str) -> bool {
    match word {
        "abort" => process::abort(),
        "segfault" => segfault(),
        "exit" => process::exit(0),
        "thread-abort" => in_a_thread(|| process::abort()),
        "thread-segfault" => in_a_thread(segfault),
        "thread-exit" => in_a_thread(|| process::exit(7)),
        "thread-destructor" => in_a_thread(|| BOMB.with(|bomb| bomb.0.set(2))),
        "double-panic" => panic_twice(),
        "stack-overflow" => drop(black_box(recurse(1))),
        "memory" => drop(black_box(vec![1_u8; 1 << 30])),
        "leak-1g" => leak(),
        _ => return false,
    }
    true
}

/// The call does not return before the thread has ended the process.
pub(super) fn in_a_thread(end: fn()) {
    thread::spawn(end);
    hang();
}

struct Bomb(Cell<u8>);

thread_local! {
    static BOMB: Bomb = const { Bomb(Cell::new(0)) };
}

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the destructor of a thread-local panics: {}", self.0.get());
    }
}

fn panic_twice() {
    let _bomb = Bomb(Cell::new(1));
    panic!("the first panic");
}

#[expect(unconditional_recursion, reason = "it overflows the stack")]
fn recurse(depth: u64) -> u64 {
    black_box([depth; 64]);
    recurse(depth + 1) + depth
}

fn leak() {
    for _ in 0..1024 {
        black_box(Box::leak(vec![1_u8; 1 << 20].into_boxed_slice()));
    }
}
