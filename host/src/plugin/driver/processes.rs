//! The processes of drivers: as the host shows them, and how long none is started after one has failed.
//!
//! Promises: a process that fails is started again with growing pauses, also if its driver was never open; one with
//! another plugin or other options is started at once.

use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    collect::DriverOptions,
    config::ProcessLimits,
    plugin::{CurrentProcess, ProcessUsage, RestartReason, Restarts},
};

/// How long no process is started after one has failed: this time, doubled with each failure
/// in a row.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What a process is started with, as a hash: the plugin, the limits, and the options of the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StartedWith(u64);

impl StartedWith {
    /// `sha256` is that of the plugin.
    pub(super) fn new(sha256: &str, limits: ProcessLimits, options: &DriverOptions) -> Self {
        let mut hasher = DefaultHasher::new();
        sha256.hash(&mut hasher);
        (limits.memory, limits.open_files).hash(&mut hasher);
        format!("{options:?}").hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// The process of each storage whose driver is a plugin. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct DriverProcesses(Arc<Mutex<BTreeMap<String, StorageProcess>>>);

/// The process of a storage, and the ends of those before. Counts start with the host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriverProcessView {
    /// `None` while no process runs.
    pub usage: Option<ProcessUsage>,
    pub restarts: Restarts,
}

#[derive(Debug, Default)]
struct StorageProcess {
    process: CurrentProcess,
    restarts: Restarts,
    failures: Option<Failures>,
}

/// Processes that have failed, without a success in between.
#[derive(Debug)]
struct Failures {
    of: StartedWith,
    count: u32,
    last: String,
    paused_until: Instant,
}

impl DriverProcesses {
    /// Where the process of a storage is shown.
    pub(super) fn process(&self, storage_id: &str) -> CurrentProcess {
        let mut processes = self.lock();
        let storage = processes.entry(storage_id.to_owned()).or_default();
        storage.process.clone()
    }

    /// Counts an end of a process that the host did not ask for. `text` says why it has ended.
    pub(super) fn failed(
        &self,
        storage_id: &str,
        with: StartedWith,
        reason: RestartReason,
        text: &str,
    ) {
        let mut processes = self.lock();
        let storage = processes.entry(storage_id.to_owned()).or_default();
        storage.restarts.count(reason);
        let before = storage.failures.as_ref().filter(|before| before.of == with);
        let count = before.map_or(0, |before| before.count);
        let pause = FIRST_PAUSE.saturating_mul(1 << count.min(16));
        storage.failures = Some(Failures {
            of: with,
            count: count + 1,
            last: text.to_owned(),
            paused_until: Instant::now() + pause.min(LONGEST_PAUSE),
        });
    }

    /// The process of a storage has done its work.
    pub(super) fn succeeded(&self, storage_id: &str) {
        if let Some(storage) = self.lock().get_mut(storage_id) {
            storage.failures = None;
        }
    }

    /// The last failure, if no process is started for a while.
    pub(super) fn pause(&self, storage_id: &str, with: StartedWith) -> Option<String> {
        let processes = self.lock();
        let failures = processes.get(storage_id)?.failures.as_ref()?;
        let is_paused = failures.of == with && failures.paused_until > Instant::now();
        is_paused.then(|| failures.last.clone())
    }

    /// The processes by the id of their storage. Those of storages that do not exist any more are
    /// forgotten.
    #[must_use]
    pub fn views(&self, is_known: impl Fn(&str) -> bool) -> BTreeMap<String, DriverProcessView> {
        let mut processes = self.lock();
        let mut views = BTreeMap::new();
        processes.retain(|id, storage| {
            let usage = storage.process.usage();
            let restarts = storage.restarts;
            if is_known(id) {
                views.insert(id.clone(), DriverProcessView { usage, restarts });
                return true;
            }
            // A storage that is being registered is not known yet.
            usage.is_some()
        });
        views
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, StorageProcess>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_that_is_gone_is_forgotten_unless_its_process_runs() {
        let processes = DriverProcesses::default();
        let with = StartedWith(1);
        processes.failed("gone", with, RestartReason::Exit, "exit");
        processes.failed("known", with, RestartReason::Deadline, "deadline");
        let running = processes.process("running");
        running.set(std::process::id());
        let known = |id: &str| id == "known";
        let views = processes.views(known);
        assert_eq!(views.keys().collect::<Vec<_>>(), ["known"]);
        assert_eq!(views["known"].restarts.deadline, 1);
        let views = processes.views(|_| true);
        assert_eq!(views.keys().collect::<Vec<_>>(), ["known", "running"]);
        assert!(views["running"].usage.is_some());
    }

    #[test]
    fn a_process_that_fails_is_started_again_after_growing_pauses() {
        let processes = DriverProcesses::default();
        let (with, changed) = (StartedWith(1), StartedWith(2));
        let left = || {
            let processes = processes.lock();
            let failures = processes["a"].failures.as_ref().unwrap();
            failures
                .paused_until
                .saturating_duration_since(Instant::now())
        };
        for pause in [1, 2, 4, 8] {
            processes.failed("a", with, RestartReason::Exit, "exit code 7");
            assert!(left() <= Duration::from_secs(pause));
        }
        assert!(left() > Duration::from_secs(4));
        assert_eq!(processes.pause("a", with).as_deref(), Some("exit code 7"));
        assert_eq!(processes.pause("a", changed), None);
        assert_eq!(processes.pause("b", with), None);
        processes.succeeded("a");
        assert_eq!(processes.pause("a", with), None);
        for _ in 0..40 {
            processes.failed("a", with, RestartReason::Exit, "exit code 7");
        }
        assert!(left() <= LONGEST_PAUSE && left() > LONGEST_PAUSE / 2);
    }
}
