//! The processes of drivers, as the host shows them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::plugin::{CurrentProcess, ProcessUsage, RestartReason, Restarts};

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
}

impl DriverProcesses {
    /// Where the process of a storage is shown.
    pub(super) fn process(&self, storage_id: &str) -> CurrentProcess {
        let mut processes = self.lock();
        let storage = processes.entry(storage_id.to_owned()).or_default();
        storage.process.clone()
    }

    /// Counts an end of a process that the host did not ask for.
    pub(super) fn count(&self, storage_id: &str, reason: RestartReason) {
        let mut processes = self.lock();
        let storage = processes.entry(storage_id.to_owned()).or_default();
        storage.restarts.count(reason);
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
        processes.count("gone", RestartReason::Exit);
        processes.count("known", RestartReason::Deadline);
        let running = processes.process("running");
        running.set(rustix::process::getpid());
        let known = |id: &str| id == "known";
        let views = processes.views(known);
        assert_eq!(views.keys().collect::<Vec<_>>(), ["known"]);
        assert_eq!(views["known"].restarts.deadline, 1);
        let views = processes.views(|_| true);
        assert_eq!(views.keys().collect::<Vec<_>>(), ["known", "running"]);
        assert!(views["running"].usage.is_some());
    }
}
