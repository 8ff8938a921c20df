//! What a broken or malicious plugin does to its process, by the word of a test.

#![expect(unsafe_code, reason = "it is about what the compiler does not prevent")]

mod connection;
mod descriptors;
mod end;
mod flood;
mod host;
mod offspring;
mod process;

use std::{ptr, thread, time::Duration};

pub(crate) use flood::{count, outcome};

/// The name of a row that ends the process with the script `poison`.
const POISON: &str = "poison";

/// Does what the word says. Returns false if no sabotage has this name.
pub(crate) fn run(word: &str) -> bool {
    let all = [
        end::run,
        process::run,
        descriptors::run,
        connection::run,
        host::run,
        offspring::run,
        flood::run,
    ];
    all.iter().any(|run| run(word))
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
