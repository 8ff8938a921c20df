//! The processes of this host: those that it has started, and orphans, which one of them
//! has started and left behind.
//!
//! The kernel makes orphans children of the host, because the host is their "subreaper".
//! They become children of its main thread. That thread starts no process itself, so each
//! of its children is an orphan.
//!
//! Promises: when the end of an exporter's process is told, its orphans have been killed,
//! also those that have left its process group. After [`end_all_processes`], no process is
//! left.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, pidfd_send_signal, set_child_subreaper, waitpid,
};

/// How often killed processes are looked for, and the pause in between. What the kernel has
/// not ended by then is ended at the next occasion.
const ROUNDS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// Whether this process adopts orphans.
static ADOPTS: AtomicBool = AtomicBool::new(false);

/// The processes of exporters that have not been reaped.
static RUNNING: Mutex<BTreeMap<i32, Arc<OwnedFd>>> = Mutex::new(BTreeMap::new());

/// Held while orphans are killed and reaped: the number of a reaped one can be that of
/// another process.
static SWEEP: Mutex<()> = Mutex::new(());

/// A process is registered until this is dropped.
pub(super) struct RegisteredProcess(i32);

impl RegisteredProcess {
    pub(super) fn new(pid: Pid, pidfd: &Arc<OwnedFd>) -> Self {
        let pid = pid.as_raw_nonzero().get();
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(pid, Arc::clone(pidfd));
        Self(pid)
    }
}

impl Drop for RegisteredProcess {
    fn drop(&mut self) {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.0);
    }
}

/// From now on, orphans are children of this process. Its main thread must not start a
/// process.
pub fn adopt_orphans() {
    match set_child_subreaper(Some(getpid())) {
        Ok(()) => ADOPTS.store(true, Ordering::Relaxed),
        Err(error) => log::warn!("cannot adopt processes that exporters leave behind: {error}"),
    }
}

/// Kills every orphan. Returns how many there were.
pub(crate) fn end_orphans() -> usize {
    if !ADOPTS.load(Ordering::Relaxed) {
        return 0;
    }
    let _sweep = SWEEP.lock().unwrap_or_else(PoisonError::into_inner);
    let mut ended = 0;
    for _ in 0..ROUNDS {
        let orphans = orphans();
        if orphans.is_empty() {
            break;
        }
        for orphan in orphans {
            // It fails only if the orphan has ended.
            let _ = kill_process(orphan, Signal::KILL);
            if let Ok(Some(_)) = waitpid(Some(orphan), WaitOptions::NOHANG) {
                ended += 1;
            }
        }
        thread::sleep(PAUSE);
    }
    ended
}

/// Kills every process that this host has started or adopted.
pub fn end_all_processes() {
    for _ in 0..ROUNDS {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_empty() {
            break;
        }
        for pidfd in running.values() {
            // It fails only if the process has ended.
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
        }
        // Their supervisors reap them.
        drop(running);
        thread::sleep(PAUSE);
    }
    end_orphans();
}

fn orphans() -> Vec<Pid> {
    let main = getpid().as_raw_nonzero();
    let children = fs::read_to_string(format!("/proc/self/task/{main}/children"));
    let children = children.unwrap_or_default();
    let numbers = children.split_whitespace().map(str::parse);
    numbers
        .filter_map(|number| Pid::from_raw(number.ok()?))
        .collect()
}
