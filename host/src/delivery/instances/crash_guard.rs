//! Evidence that a plugin crashed the host: a marker file that names the call in
//! progress.
//!
//! If the host crashes during a call, the marker is still there at the next start:
//! the page cache outlives a process, so nothing needs to be synced. An exporter
//! is a suspect until the call that the host crashed in returns, or until its
//! cursor advances. Other calls prove nothing: an instance can be created before
//! the batch that crashes it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
};

use crate::{
    platform::{FileReaders, OpenRestricted, read_at, write_all_at},
    write_guard::WRITE_GUARD,
};

/// How often in a row the host may crash in an exporter's calls.
const MAX_CRASHES: u32 = 3;

/// The marker has a fixed length, so that one write replaces all of it.
const LENGTH: usize = 96;

#[derive(Debug)]
pub(super) struct CrashGuard {
    file: File,
    crashes: u32,
    /// The call that the host crashed in last.
    suspect_call: String,
    /// The call that started last.
    call: String,
    in_call: bool,
}

impl CrashGuard {
    /// Opens the marker file. If it names a call in progress, the host has crashed
    /// in that call.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .readable_by(FileReaders::Owner)
            .open_no_follow(path)?;
        let mut text = [0; LENGTH];
        let length = read_at(&file, &mut text, 0)?;
        let text = String::from_utf8_lossy(&text[..length]);
        let mut words = text.split_whitespace();
        let crashed = words.next() == Some("under-way");
        let before: u32 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let guard = Self {
            file,
            crashes: if crashed { before + 1 } else { before },
            suspect_call: words.next().unwrap_or_default().to_owned(),
            call: String::new(),
            in_call: false,
        };
        if crashed {
            guard.write()?;
        }
        Ok(guard)
    }

    /// Whether the host has crashed in the exporter's last calls. No other suspect
    /// may be in a call at the same time: a crash must name one exporter.
    pub(super) fn is_suspect(&self) -> bool {
        self.crashes > 0
    }

    /// Why the exporter is quarantined; `None` if it is not.
    pub(super) fn quarantine_reason(&self) -> Option<String> {
        (self.crashes >= MAX_CRASHES).then(|| {
            format!(
                "the host crashed {} times in its calls, the last time with `{}` (look at it \
                 in the log, replace the plugin, then reload; `exporters resume` tries this one again)",
                self.crashes, self.suspect_call
            )
        })
    }

    /// A call starts.
    pub(super) fn start(&mut self, call: &str) {
        self.call = call
            .chars()
            .filter(|c| !c.is_whitespace())
            .take(48)
            .collect();
        self.in_call = true;
        drop(self.write());
    }

    /// The call returned.
    pub(super) fn on_return(&mut self) {
        if self.call == self.suspect_call {
            self.crashes = 0;
        }
        self.abandon();
    }

    /// The host goes on without the call, which may or may not return.
    pub(super) fn abandon(&mut self) {
        self.in_call = false;
        drop(self.write());
    }

    /// Clears the suspicion.
    pub(super) fn clear(&mut self) {
        if self.is_suspect() {
            self.crashes = 0;
            drop(self.write());
        }
    }

    fn write(&self) -> io::Result<()> {
        let (word, call) = if self.in_call {
            ("under-way", &self.call)
        } else {
            ("over", &self.suspect_call)
        };
        let mut text = format!("{word} {} {call}", self.crashes);
        text.truncate(LENGTH - 1);
        WRITE_GUARD.check()?;
        write_all_at(
            &self.file,
            format!("{text:<width$}\n", width = LENGTH - 1).as_bytes(),
            0,
        )
    }
}

/// Opens the library of an exporter that runs in a thread of the host, as a call that the
/// marker names.
///
/// # Errors
///
/// The library cannot be opened, or is not opened because the exporter has crashed the host
/// too often. A `retry` opens it nevertheless: a person has asked for it.
pub fn open_guarded<T>(
    marker: &Path,
    retry: bool,
    open: impl FnOnce() -> Result<T, String>,
) -> Result<T, String> {
    // Without a marker, the start of the exporter says so.
    let Ok(mut guard) = CrashGuard::open(marker) else {
        return open();
    };
    match guard.quarantine_reason() {
        Some(reason) if !retry => Err(reason),
        Some(_) | None => {
            guard.start("open");
            let opened = open();
            guard.on_return();
            opened
        }
    }
}

/// Clears the suspicion of an exporter: a person has started it again. No instance of it may
/// exist.
pub fn clear_suspicion(marker: &Path) {
    // Without a marker, the start of the exporter says so.
    if let Ok(mut guard) = CrashGuard::open(marker) {
        guard.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_crashes_of_the_host_in_a_call_quarantine_the_exporter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls").join("exporter");
        for crashes in 0..3 {
            let mut guard = CrashGuard::open(&path).unwrap();
            assert_eq!(guard.is_suspect(), crashes > 0);
            assert_eq!(guard.quarantine_reason(), None);
            // Creating and ticking an instance proves nothing about the batch.
            for other in ["create", "tick"] {
                guard.start(other);
                guard.on_return();
            }
            guard.start("0198c0de");
        }
        // The exporter is not called any more, and stays quarantined.
        for _ in 0..2 {
            let reason = CrashGuard::open(&path)
                .unwrap()
                .quarantine_reason()
                .unwrap();
            assert!(
                reason.contains("`0198c0de`") && reason.contains("3 times"),
                "{reason}"
            );
        }
    }

    #[test]
    fn a_library_that_crashes_the_host_when_it_is_opened_is_not_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls").join("exporter");
        let opened = |retry| open_guarded(&path, retry, || Ok(()));
        for _ in 0..3 {
            CrashGuard::open(&path).unwrap().start("open");
        }
        let reason = opened(false).unwrap_err();
        assert!(reason.contains("`open`"), "{reason}");
        assert_eq!(opened(true), Ok(()));
        assert_eq!(opened(false), Ok(()));
    }

    #[test]
    fn an_exporter_that_a_person_has_started_again_is_not_quarantined() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exporter");
        for _ in 0..3 {
            CrashGuard::open(&path).unwrap().start("0198c0de");
        }
        assert!(open_guarded(&path, false, || Ok(())).is_err());
        clear_suspicion(&path);
        assert_eq!(open_guarded(&path, false, || Ok(())), Ok(()));
    }

    #[test]
    fn the_call_that_the_host_crashed_in_clears_its_exporter_when_it_returns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exporter");
        let name = "a name that is much longer than the id of a batch can ever be in a journal";
        CrashGuard::open(&path).unwrap().start(name);
        let mut guard = CrashGuard::open(&path).unwrap();
        assert!(guard.is_suspect());
        guard.start("create");
        guard.on_return();
        // The host stopped in order in between.
        let mut guard = CrashGuard::open(&path).unwrap();
        assert!(guard.is_suspect());
        guard.start(name);
        guard.on_return();
        assert!(!CrashGuard::open(&path).unwrap().is_suspect());
    }

    #[test]
    fn progress_clears_past_crashes_and_not_the_call_in_progress() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exporter");
        for _ in 0..2 {
            CrashGuard::open(&path).unwrap().start("a");
        }
        let mut guard = CrashGuard::open(&path).unwrap();
        guard.start("b");
        guard.clear();
        assert!(!guard.is_suspect());
        for _ in 0..2 {
            let mut guard = CrashGuard::open(&path).unwrap();
            assert!(guard.is_suspect());
            assert_eq!(guard.quarantine_reason(), None);
            guard.start("b");
        }
        assert!(
            CrashGuard::open(&path)
                .unwrap()
                .quarantine_reason()
                .is_some()
        );
    }

    #[test]
    fn a_host_that_stops_during_a_call_has_not_crashed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exporter");
        let mut guard = CrashGuard::open(&path).unwrap();
        guard.start("a");
        guard.abandon();
        assert!(!CrashGuard::open(&path).unwrap().is_suspect());
    }
}
