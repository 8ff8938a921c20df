//! How an exporter fares, for whoever asks.

mod growth;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use delfin_plugin_api::{Failure, Outcome};
use serde::Serialize;

use super::breaker::Circuit;
use crate::clock::now_ms;
pub use growth::Growth;

/// What an exporter is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its first instance is being made.
    #[default]
    Starting,
    /// It delivers, or would if there were something.
    Running,
    /// A batch could not be delivered, or an instance not be made: trying again.
    Retrying,
    /// Somebody has to act (credentials, settings); what waits is kept.
    Paused,
    /// A call is past its deadline.
    Stuck,
    /// It could not start.
    Failed,
    /// It hung or crashed too often, and is left alone until somebody has acted.
    Quarantined,
    /// The host has stopped it.
    Stopped,
}

/// How an exporter fares. It begins anew with the host; what lasts is in the
/// journal.
#[derive(Debug, Default)]
pub struct Status(Mutex<StatusView>);

/// How an exporter fares, at one moment.
#[derive(Clone, Debug, Default)]
pub struct StatusView {
    /// What it is at.
    pub state: State,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it last delivered, in milliseconds since the epoch.
    pub last_success_ms: Option<i64>,
    /// When the oldest batch that it has before it was accepted.
    pub oldest_pending_ms: Option<i64>,
    /// Calls of `export` by the class of their outcome, in the order of [`CLASSES`].
    pub attempts: [u64; CLASSES.len()],
    /// Panics caught in its plugin.
    pub panics: u64,
    /// Calls that went past their deadline.
    pub hangs: u64,
    /// Threads that hang at the moment, and that nobody waits for any more.
    pub left_behind: usize,
    /// Instances made after the first.
    pub restarts: u64,
    /// Calls whose rows were sent again in halves.
    pub splits: u64,
    /// Active alerts that were sent again, and arrived.
    pub resent_items: u64,
    /// Rounds of sending them again that failed.
    pub failed_resends: u64,
    /// The time spent in `export`.
    pub export_time: Duration,
    /// How long it took from accepting rows to delivering them.
    pub latency: Latency,
    /// What its circuit breaker lets through.
    pub circuit: Circuit,
    /// How often it has changed to that, in the order of [`CIRCUITS`].
    pub transitions: [u64; CIRCUITS.len()],
    /// How fast what waits for it grows.
    pub growth: Growth,
}

/// How long deliveries took: how many of them took so long, by bound.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    /// Of each of [`LATENCY_BOUNDS`], how many took no longer; then those that did.
    pub counts: [u64; LATENCY_BOUNDS.len() + 1],
    /// All of them together.
    pub sum: Duration,
}

/// The bounds of [`Latency`], in seconds.
pub const LATENCY_BOUNDS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0,
];

impl StatusView {
    /// The circuit breaker is seen to let this through.
    pub(super) fn see_circuit(&mut self, circuit: Circuit) {
        if circuit != self.circuit {
            self.circuit = circuit;
            self.transitions[circuit as usize] += 1;
        }
    }
}

impl Latency {
    fn observe(&mut self, waited: Duration) {
        let seconds = waited.as_secs_f64();
        let bound = LATENCY_BOUNDS.partition_point(|bound| *bound < seconds);
        self.counts[bound] += 1;
        self.sum += waited;
    }
}

/// The names of the outcome classes.
pub const CLASSES: [&str; 8] = [
    "delivered",
    "partial",
    "retry",
    "split",
    "reject",
    "pause",
    "restart",
    "uncertain",
];

/// The names of what a circuit breaker lets through, each at its number.
pub const CIRCUITS: [&str; 3] = ["closed", "half_open", "open"];

impl State {
    /// Each state.
    pub const ALL: [Self; 8] = [
        Self::Starting,
        Self::Running,
        Self::Retrying,
        Self::Paused,
        Self::Stuck,
        Self::Failed,
        Self::Quarantined,
        Self::Stopped,
    ];

    /// The lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Paused => "paused",
            Self::Stuck => "stuck",
            Self::Failed => "failed",
            Self::Quarantined => "quarantined",
            Self::Stopped => "stopped",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Status {
    /// The present state of it all.
    #[must_use]
    pub fn view(&self) -> StatusView {
        self.lock().clone()
    }

    pub(super) fn set(&self, state: State) -> State {
        std::mem::replace(&mut self.lock().state, state)
    }

    pub(super) fn fail(&self, state: State, error: &str) -> State {
        let mut view = self.lock();
        view.last_error = Some(error.to_owned());
        std::mem::replace(&mut view.state, state)
    }

    /// Rows were delivered that had waited for so long.
    pub(super) fn delivered(&self, waited: Duration) {
        let mut view = self.lock();
        view.last_success_ms = Some(now_ms());
        view.latency.observe(waited);
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut StatusView)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, StatusView> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The index of an outcome's class in [`CLASSES`].
pub(super) fn class(outcome: &Outcome) -> usize {
    match outcome {
        Ok(()) => 0,
        Err(Failure::Partial { .. }) => 1,
        Err(Failure::Retry { .. } | Failure::Throttled { .. }) => 2,
        Err(Failure::TooLarge { .. }) => 3,
        Err(Failure::Rejected { .. }) => 4,
        Err(Failure::Unauthorized { .. } | Failure::Misconfigured { .. }) => 5,
        Err(Failure::Fatal { .. }) => 6,
        Err(Failure::Uncertain { .. }) => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circuit_that_stays_as_it_is_makes_no_transition() {
        let mut view = StatusView::default();
        for circuit in [
            Circuit::Closed,
            Circuit::Open,
            Circuit::Open,
            Circuit::HalfOpen,
            Circuit::Open,
        ] {
            view.see_circuit(circuit);
        }
        assert_eq!(CIRCUITS[view.circuit as usize], "open");
        assert_eq!(view.transitions, [0, 1, 2]);
    }

    #[test]
    fn each_circuit_has_the_name_that_json_gives_it() {
        for circuit in [Circuit::Closed, Circuit::HalfOpen, Circuit::Open] {
            let name = serde_json::to_value(circuit).unwrap();
            assert_eq!(name, CIRCUITS[circuit as usize]);
        }
    }
}
