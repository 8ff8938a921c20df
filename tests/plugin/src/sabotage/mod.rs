//! What a broken or malicious plugin does to its process, by the word of a test.

#![expect(unsafe_code, reason = "it is about what the compiler does not prevent")]

mod end;
mod flood;
#[cfg(unix)]
mod unix;

use std::{ptr, thread, time::Duration};

pub(crate) use flood::{count, outcome};
#[cfg(unix)]
use unix::run as run_on_this_system;

/// The name of a row that ends the process with the script `poison`.
const POISON: &str = "poison";

/// Does what the word says. Returns false if no sabotage has this name.
pub(crate) fn run(word: &str) -> bool {
    end::run(word) || flood::run(word) || run_on_this_system(word)
}

#[cfg(not(unix))]
const fn run_on_this_system(_: &str) -> bool {
    false
}

/// As [`run`], for a script, which can have words that sabotage nothing.
pub(crate) fn run_script(word: &str, rows: &str) {
    if word != "poison" || rows.contains(POISON) {
        run(if word == "poison" { "segfault" } else { word });
    }
}

fn segfault() {
    // SAFETY: none, that is the point: nothing is mapped there.
    unsafe { ptr::without_provenance::<u8>(8).read_volatile() };
}

fn hang() -> ! {
    loop {
        thread::sleep(Duration::from_mins(1));
    }
}
