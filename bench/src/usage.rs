//! What a program and the processes that it started use.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use procfs::process::{Process, all_processes};

/// How often memory is looked at.
const INTERVAL: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub cpu_seconds: f64,
    pub written_bytes: u64,
    /// Memory that processes share counts once.
    pub memory_bytes: u64,
}

/// Looks at the memory of a program while it runs.
pub struct MemoryWatch {
    peak: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    watcher: JoinHandle<()>,
}

impl Usage {
    pub fn of(pid: u32) -> Self {
        let mut all = Self::default();
        for process in family(pid) {
            // A process that has just ended is left out.
            if let Ok(stat) = process.stat() {
                all.cpu_seconds +=
                    (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
            }
            all.written_bytes += process.io().map_or(0, |io| io.write_bytes);
            all.memory_bytes += proportional_bytes(&process);
        }
        all
    }
}

impl MemoryWatch {
    pub fn start(pid: u32) -> Self {
        let (peak, is_over) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (shared_peak, shared_over) = (Arc::clone(&peak), Arc::clone(&is_over));
        let watcher = thread::spawn(move || {
            while !shared_over.load(Relaxed) {
                let now: u64 = family(pid).iter().map(proportional_bytes).sum();
                shared_peak.fetch_max(now, Relaxed);
                thread::sleep(INTERVAL);
            }
        });
        Self {
            peak,
            is_over,
            watcher,
        }
    }

    /// The most memory that was seen.
    pub fn finish(self) -> u64 {
        self.is_over.store(true, Relaxed);
        self.watcher.join().expect("the watch of the memory ends");
        self.peak.load(Relaxed)
    }
}

/// A process and its descendants.
fn family(pid: u32) -> Vec<Process> {
    let parents = all_processes().into_iter().flatten().filter_map(|process| {
        let process = process.ok()?;
        let parent = process.stat().ok()?.ppid;
        Some((process, parent))
    });
    let mut others: Vec<_> = parents.collect();
    let mut family = Vec::new();
    let mut pids = vec![pid as i32];
    while let Some(pid) = pids.pop() {
        let of_pid =
            others.extract_if(.., |(process, parent)| process.pid == pid || *parent == pid);
        for (process, _) in of_pid.collect::<Vec<_>>() {
            if process.pid != pid {
                pids.push(process.pid);
            }
            family.push(process);
        }
    }
    family
}

fn proportional_bytes(process: &Process) -> u64 {
    let maps = process.smaps_rollup().ok();
    let maps = maps.iter().flat_map(|rollup| &rollup.memory_map_rollup);
    maps.filter_map(|map| map.extension.map.get("Pss")).sum()
}
