//! Runs the real binary with real plugin files, and asks it how it fares.
//!
//! A failed wait prints all that the host has said. Nothing sleeps for a fixed
//! time: [`wait_for`] polls until a condition holds, and panics after a minute.

mod build;
mod disk;
mod host;
pub mod library;
mod metrics;
mod ran;
mod receiver;
pub mod receivers;
mod row;
mod soak;

pub use build::{binary, plugin};
pub use disk::Disk;
pub use host::{Host, Setup};
pub use metrics::{Metrics, Sample};
pub use ran::Ran;
pub use receiver::{Mood, Receiver};
pub use row::Row;
pub use soak::soak;

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Polls until `condition` gives something.
///
/// # Panics
///
/// It does not within [`PATIENCE`].
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "gave up waiting for: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
