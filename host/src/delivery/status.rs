//! State and statistics of an exporter, for the API and the metrics.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use delfin_plugin_api::{Failure, Outcome};
use serde::Serialize;

use super::{circuit_breaker::Circuit, fill_rate::FillRate};
use crate::{
    clock::{HostClock, millis, now_ms},
    plugin::Restarts,
};

/// State of an exporter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its first instance is being created.
    #[default]
    Starting,
    /// It delivers what is pending.
    Running,
    /// Rows could not be delivered, or an instance not be created: retrying.
    Retrying,
    /// A person must act (credentials, settings); what is pending is kept.
    Paused,
    /// A call is past its deadline.
    Stuck,
    /// It could not start.
    Failed,
    /// It hung or crashed too often, and is not called until a person acts.
    Quarantined,
    /// The host has stopped it.
    Stopped,
}

/// Starts at zero with the host. What must survive a restart is in the journal.
#[derive(Debug, Default)]
pub struct Status(Mutex<StatusView>);

/// A snapshot of a [`Status`].
#[derive(Clone, Debug, Default)]
pub struct StatusView {
    pub state: State,
    /// An operator pauses the exporter.
    pub paused_by_operator: bool,
    /// An instance was created since the exporter was started.
    pub has_started: bool,
    pub last_error: Option<String>,
    /// When the last error occurred, in milliseconds since the Unix epoch.
    pub last_error_ms: Option<i64>,
    /// When the next attempt is due. Means nothing while the exporter runs.
    pub(super) next_attempt: Option<Instant>,
    /// Milliseconds since the Unix epoch.
    pub last_success_ms: Option<i64>,
    /// When the oldest in-flight batch was accepted, in milliseconds since the Unix
    /// epoch.
    pub oldest_pending_ms: Option<i64>,
    /// Calls of `export` by the class of their outcome, in the order of [`CLASSES`].
    pub attempts: [u64; CLASSES.len()],
    /// Panics caught in its plugin.
    pub panics: u64,
    /// Calls that went past their deadline.
    pub hangs: u64,
    /// Threads whose call was lost and that still run.
    pub abandoned_threads: usize,
    /// Instances that replaced another one.
    pub restarts: Restarts,
    /// Requests that were split in half.
    pub splits: u64,
    /// Active alerts that were resent and delivered.
    pub resent_items: u64,
    /// Resend requests that failed.
    pub failed_resends: u64,
    /// The time spent in `export`.
    pub export_time: Duration,
    /// From accepting rows to delivering them.
    pub latency: Latency,
    pub circuit: Circuit,
    /// Changes of the circuit breaker to each state, in the order of [`CIRCUITS`].
    pub transitions: [u64; CIRCUITS.len()],
    pub fill_rate: FillRate,
}

/// A histogram of delivery times.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    /// Deliveries up to each of [`LATENCY_BOUNDS`], then those above the last one.
    pub counts: [u64; LATENCY_BOUNDS.len() + 1],
    pub sum: Duration,
}

/// The bounds of [`Latency`], in seconds.
pub const LATENCY_BOUNDS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0,
];

impl StatusView {
    /// Age of the oldest pending batch; zero if no item is pending.
    pub(super) fn lag(&self, pending: u64, clock: &HostClock) -> Duration {
        let oldest_ms = self.oldest_pending_ms.filter(|_| pending > 0);
        oldest_ms.map_or(Duration::ZERO, |oldest_ms| clock.age(oldest_ms))
    }

    /// When an exporter that cannot deliver tries again, in milliseconds since the Unix
    /// epoch; `None` if it delivers, tries now or does not try by itself.
    pub(crate) fn next_attempt_ms(&self) -> Option<i64> {
        if !matches!(self.state, State::Retrying | State::Paused) {
            return None;
        }
        let wait = self.next_attempt?.checked_duration_since(Instant::now())?;
        Some(now_ms().saturating_add(millis(wait)))
    }

    pub(super) fn observe_circuit(&mut self, circuit: Circuit) {
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

/// The names of the states of a circuit breaker, by number.
pub const CIRCUITS: [&str; 3] = ["closed", "half_open", "open"];

impl State {
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
        view.last_error_ms = Some(now_ms());
        std::mem::replace(&mut view.state, state)
    }

    /// Records a delivery of rows that were accepted this long ago.
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

/// The name of an outcome's class.
#[must_use]
pub fn outcome_class(outcome: &Outcome) -> &'static str {
    CLASSES[class(outcome)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_is_zero_without_pending_items_and_never_sees_that_the_clock_was_set() {
        let clock = HostClock::manual(1_000);
        clock.pass(Duration::from_millis(2_500), 0);
        let lag = |pending, oldest_pending_ms| {
            let view = StatusView {
                oldest_pending_ms,
                ..StatusView::default()
            };
            view.lag(pending, &clock)
        };
        assert_eq!(lag(0, Some(1_000)), Duration::ZERO);
        assert_eq!(lag(1, None), Duration::ZERO);
        assert_eq!(lag(1, Some(1_000)), Duration::from_millis(2_500));
    }

    #[test]
    fn the_next_attempt_is_that_of_an_exporter_that_waits_for_one() {
        let next_attempt_ms = |state, wait| {
            let view = StatusView {
                state,
                next_attempt: Some(Instant::now() + wait),
                ..StatusView::default()
            };
            view.next_attempt_ms()
        };
        let minute = Duration::from_mins(1);
        let next = next_attempt_ms(State::Retrying, minute);
        assert!(next.is_some_and(|next| next > now_ms()), "{next:?}");
        assert_eq!(next_attempt_ms(State::Retrying, Duration::ZERO), None);
        assert_eq!(next_attempt_ms(State::Running, minute), None);
        assert_eq!(next_attempt_ms(State::Failed, minute), None);
    }

    #[test]
    fn an_unchanged_circuit_makes_no_transition() {
        let mut view = StatusView::default();
        for circuit in [
            Circuit::Closed,
            Circuit::Open,
            Circuit::Open,
            Circuit::HalfOpen,
            Circuit::Open,
        ] {
            view.observe_circuit(circuit);
        }
        assert_eq!(CIRCUITS[view.circuit as usize], "open");
        assert_eq!(view.transitions, [0, 1, 2]);
    }

    #[test]
    fn each_circuit_has_the_same_name_in_json() {
        for circuit in [Circuit::Closed, Circuit::HalfOpen, Circuit::Open] {
            let name = serde_json::to_value(circuit).unwrap();
            assert_eq!(name, CIRCUITS[circuit as usize]);
        }
    }
}
