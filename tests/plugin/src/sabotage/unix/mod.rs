//! What only a process of Unix can do to itself and to others.

mod connection;
mod descriptors;
mod host;
mod offspring;
mod process;
mod signals;

use super::hang;

pub(super) fn run(word: &str) -> bool {
    let all = [
        connection::run,
        descriptors::run,
        host::run,
        offspring::run,
        process::run,
        signals::run,
    ];
    all.iter().any(|run| run(word))
}
