//! The process of an exporter, as the host shows it.
//!
//! Promises: what is shown is never that of another process. A process keeps its number
//! until it is reaped, and it is forgotten before that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::platform::usage_of;

/// The process that an exporter has now, if it has one.
#[derive(Clone, Debug, Default)]
pub struct CurrentProcess(Arc<Mutex<Option<u32>>>);

/// What a process uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessUsage {
    pub pid: u32,
    pub resident_bytes: u64,
    /// CPU time since the process was started.
    pub cpu_seconds: f64,
}

impl CurrentProcess {
    /// What the process uses at this moment; `None` without a process.
    #[must_use]
    pub fn usage(&self) -> Option<ProcessUsage> {
        // The lock is kept while the files of the process are read: it is not reaped
        // meanwhile.
        let current = self.lock();
        let pid = (*current)?;
        let used = usage_of(pid)?;
        Some(ProcessUsage {
            pid,
            resident_bytes: used.resident_bytes,
            cpu_seconds: used.cpu_seconds,
        })
    }

    pub(super) fn set(&self, pid: u32) {
        *self.lock() = Some(pid);
    }

    /// Forgets a process that is about to be reaped, unless it has a successor already.
    pub(super) fn forget(&self, pid: u32) {
        self.lock().take_if(|current| *current == pid);
    }

    fn lock(&self) -> MutexGuard<'_, Option<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn a_process_is_shown_until_it_ends_and_its_successor_is_kept() {
        let current = CurrentProcess::default();
        assert_eq!(current.usage(), None);
        let own = std::process::id();
        current.set(own);
        let usage = current.usage().unwrap();
        assert_eq!(usage.pid, own);
        assert!(usage.resident_bytes > 0, "{usage:?}");

        let mut child = Command::new("sleep")
            .arg("60")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        current.set(child.id());
        current.forget(own);
        assert_eq!(current.usage().map(|usage| usage.pid), Some(child.id()));
        child.kill().unwrap();
        // The end of the output is the end of the process, which stays as a zombie until it
        // is reaped.
        child
            .stdout
            .take()
            .unwrap()
            .read_to_end(&mut Vec::new())
            .unwrap();
        while current.usage().is_some() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
