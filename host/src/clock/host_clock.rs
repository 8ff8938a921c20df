//! The clock that ages are measured with: the time that the host has run.
//!
//! It keeps its history in a [`HistoryStore`], so that ages continue after a
//! restart. Without its history, earlier times have the age that the wall clock gives
//! them.

use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    from_millis,
    history::{ClockHistory, MAX_GAP_MS},
    history_store::{HistoryFile, HistoryStore},
    millis, now_ms,
};

/// How often the clock is read.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often its history is written. What is missing after a crash does not count.
const SAVE_INTERVAL: Duration = Duration::from_millis(MAX_GAP_MS.unsigned_abs());

/// Measures the age of wall clock times. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HostClock(Arc<Mutex<ClockState>>);

/// Reads a clock every second and writes its history. Stops when it is dropped.
#[derive(Debug)]
pub struct ClockKeeper {
    thread: Option<JoinHandle<()>>,
    stopped: Arc<AtomicBool>,
}

#[derive(Debug)]
struct ClockState {
    history: ClockHistory,
    source: TimeSource,
    /// When the clock was last read.
    read_at: Duration,
    /// The history has a period that is not stored.
    is_changed: bool,
}

/// The clocks of the system, or those of a test.
#[derive(Debug)]
enum TimeSource {
    System(Instant),
    #[cfg(test)]
    Manual {
        wall_ms: i64,
        elapsed: Duration,
    },
}

impl HostClock {
    /// A clock without a store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_source(TimeSource::System(Instant::now()))
    }

    /// Continues the clock of a store, which gets its history from the keeper.
    pub fn open(store: Box<dyn HistoryStore>) -> (Self, ClockKeeper) {
        let clock = Self::new();
        match read(&*store) {
            Ok(Some(history)) => clock.resume(history),
            Ok(None) => {}
            Err(error) => {
                log::warn!(store:?, error:%; "cannot read the clock of the last run, the time since then counts as age");
            }
        }
        let keeper = ClockKeeper::start(clock.clone(), store);
        (clock, keeper)
    }

    /// How long the host has run since a wall clock time; zero for the future.
    #[must_use]
    pub fn age(&self, time_ms: i64) -> Duration {
        from_millis(self.read().history.age_ms(time_ms))
    }

    /// The wall clock times that are older than an age: ranges with their end
    /// excluded, in order.
    pub(crate) fn older_than(&self, age: Duration) -> Vec<[i64; 2]> {
        self.read().history.older_than(millis(age))
    }

    fn with_source(source: TimeSource) -> Self {
        let (wall_ms, read_at) = source.now();
        Self(Arc::new(Mutex::new(ClockState {
            history: ClockHistory::new(wall_ms),
            source,
            read_at,
            is_changed: true,
        })))
    }

    fn resume(&self, mut history: ClockHistory) {
        let mut state = self.lock();
        let (wall_ms, read_at) = state.source.now();
        if let Some(step_ms) = history.resume(wall_ms) {
            log::info!(step:% = signed(step_ms); "the system clock has moved on since the last run, ages count the time that the host runs");
        }
        state.history = history;
        state.read_at = read_at;
    }

    /// The state after a reading of both clocks.
    fn read(&self) -> MutexGuard<'_, ClockState> {
        let mut state = self.lock();
        if let Some(step_ms) = state.advance() {
            log::warn!(step:% = signed(step_ms); "the system clock was set, or the host was suspended: ages count the time that the host runs");
        }
        state
    }

    fn save(&self, store: &dyn HistoryStore) -> io::Result<()> {
        let content = {
            let mut state = self.read();
            state.is_changed = false;
            serde_json::to_string(&state.history)?
        };
        store.write(&content)
    }

    fn lock(&self) -> MutexGuard<'_, ClockState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for HostClock {
    fn default() -> Self {
        Self::new()
    }
}

impl ClockState {
    fn advance(&mut self) -> Option<i64> {
        let (wall_ms, read_at) = self.source.now();
        let elapsed = read_at.saturating_sub(self.read_at);
        self.read_at = read_at;
        let step = self.history.advance(wall_ms, millis(elapsed));
        self.is_changed |= step.is_some();
        step
    }
}

impl TimeSource {
    /// The wall clock, and a clock that cannot be set.
    fn now(&self) -> (i64, Duration) {
        match self {
            Self::System(started) => (now_ms(), started.elapsed()),
            #[cfg(test)]
            Self::Manual { wall_ms, elapsed } => (*wall_ms, *elapsed),
        }
    }
}

impl ClockKeeper {
    fn start(clock: HostClock, store: Box<dyn HistoryStore>) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let is_stopped = Arc::clone(&stopped);
        let keep = move || keep(&clock, &*store, &is_stopped);
        let thread = thread::Builder::new().name("clock".into()).spawn(keep);
        let thread = thread.inspect_err(|error| {
            log::warn!(error:%; "cannot start the thread that keeps the clock, ages may count the time of a suspended host");
        });
        Self {
            thread: thread.ok(),
            stopped,
        }
    }
}

impl Drop for ClockKeeper {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn keep(clock: &HostClock, store: &dyn HistoryStore, stopped: &AtomicBool) {
    let mut saved_at = Instant::now();
    let mut has_warned = false;
    loop {
        let is_last = stopped.load(Ordering::Acquire);
        let is_changed = clock.read().is_changed;
        if is_last || is_changed || saved_at.elapsed() >= SAVE_INTERVAL {
            saved_at = Instant::now();
            let saved = clock.save(store);
            if let Err(error) = &saved
                && !has_warned
            {
                log::warn!(store:?, error:%; "cannot write the clock, after a restart the time since the last write does not count as age");
            }
            has_warned = saved.is_err();
        }
        if is_last {
            return;
        }
        thread::park_timeout(INTERVAL);
    }
}

/// Checks the file of a clock.
pub(crate) fn check_file(path: &Path) -> io::Result<()> {
    read(&HistoryFile::at(path)).map(drop)
}

fn read(store: &dyn HistoryStore) -> io::Result<Option<ClockHistory>> {
    let Some(content) = store.read()? else {
        return Ok(None);
    };
    let history: ClockHistory = serde_json::from_str(&content)?;
    if !history.is_valid() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Some(history))
}

fn signed(step_ms: i64) -> String {
    let sign = if step_ms < 0 { "-" } else { "+" };
    let step = Duration::from_millis(step_ms.unsigned_abs());
    format!("{sign}{}", humantime::format_duration(step))
}

#[cfg(test)]
impl HostClock {
    /// A clock that a test sets.
    pub(crate) fn manual(wall_ms: i64) -> Self {
        Self::with_source(TimeSource::Manual {
            wall_ms,
            elapsed: Duration::ZERO,
        })
    }

    /// Lets time pass, and sets the wall clock.
    pub(crate) fn pass(&self, time: Duration, now_ms: i64) {
        // Readings are a second apart at most.
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(INTERVAL);
            left -= step;
            if let TimeSource::Manual { wall_ms, elapsed } = &mut self.lock().source {
                *wall_ms += millis(step);
                *elapsed += step;
            }
            drop(self.read());
        }
        if let TimeSource::Manual { wall_ms, .. } = &mut self.lock().source {
            *wall_ms = now_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{clock::DatabaseHistory, postgres::testing::TestLease};

    fn open(path: &Path) -> (HostClock, ClockKeeper) {
        HostClock::open(Box::new(HistoryFile::at(path)))
    }

    #[test]
    fn an_age_continues_on_the_next_host_of_a_cluster() {
        let Some(lease) = TestLease::new() else {
            return;
        };
        let store = |epoch| DatabaseHistory::open(Arc::new(lease.owner(epoch).unwrap())).unwrap();
        let last_run = HostClock::manual(1_000);
        last_run.save(&store(1)).unwrap();
        let former = store(1);
        let (clock, _keeper) = HostClock::open(Box::new(store(2)));
        assert!(clock.age(1_000) < Duration::from_secs(120));
        assert!(last_run.save(&former).is_err());
    }

    #[test]
    fn an_age_continues_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock.json");
        let taken = now_ms() - 50_000;
        let (clock, keeper) = open(&path);
        let age = clock.age(taken);
        drop(keeper);
        let (clock, _keeper) = open(&path);
        assert!(clock.age(taken) >= age);
        assert!(clock.age(taken) < age + Duration::from_secs(50));
    }

    #[test]
    fn the_time_before_a_restart_is_unknown_without_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock.json");
        fs::write(&path, "{").unwrap();
        let (clock, keeper) = open(&path);
        // The two clocks are read one after the other, and one may be adjusted between.
        assert!(clock.age(now_ms() - 50_000) > Duration::from_secs(49));
        drop(keeper);
        assert!(read(&HistoryFile::at(&path)).unwrap().is_some());
    }

    #[test]
    fn a_host_that_was_off_for_long_finds_nothing_older() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock.json");
        let last_run = HostClock::manual(1_000);
        last_run.save(&HistoryFile::at(&path)).unwrap();
        let (clock, _keeper) = open(&path);
        assert!(clock.age(1_000) < Duration::from_secs(120));
    }

    #[test]
    fn a_symbolic_link_in_the_place_of_the_new_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, folder.path().join("clock.new")).unwrap();
        HostClock::new()
            .save(&HistoryFile::at(&folder.path().join("clock.json")))
            .unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    }
}
