//! One open file: locked, ending with a whole line. Appends are durable.
//!
//! Knows nothing of rotation.

use std::{
    fs::{self, File, FileType, TryLockError},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use delfin_plugin_api::{
    files::{create_folder, folder_of, sync_folder},
    log,
};

use super::{now::Now, platform};
use crate::outcome::WriteError;

/// Bytes to read at once, from the end of the file, in search of the last newline.
const STEP: u64 = 64 * 1024;

/// A file that no other exporter writes to.
pub(super) struct OpenFile {
    file: File,
    /// The age of the first line at `since`.
    age: Duration,
    since: Instant,
    /// Where the batch starts that is being written, until it is all on disk.
    unfinished: Option<u64>,
    /// What the file had at its end when it was opened, until it is removed.
    incomplete: Option<IncompleteLine>,
}

/// A last line that a killed host or a power failure has left.
struct IncompleteLine {
    path: PathBuf,
    start: u64,
}

impl OpenFile {
    /// Whether the path is that of a regular file. If nothing is there, checks that a file can be
    /// created, as far as that is known without creating it.
    pub(super) fn check(path: &Path) -> Result<bool, WriteError> {
        match fs::symlink_metadata(path) {
            Ok(found) => {
                check_regular(path, found.file_type())?;
                platform::check_writable(path).map_err(WriteError::io("write", path))?;
                Ok(true)
            }
            Err(missing) if missing.kind() == ErrorKind::NotFound => {
                let mut folder = folder_of(path);
                while let Err(missing) = fs::metadata(folder)
                    && missing.kind() == ErrorKind::NotFound
                    && folder != folder_of(folder)
                {
                    folder = folder_of(folder);
                }
                let writable = platform::check_writable(folder);
                writable.map_err(WriteError::io("create a file or folder in", folder))?;
                Ok(false)
            }
            Err(error) => Err(WriteError::io("look up", path)(error)),
        }
    }

    pub(super) fn open(path: &Path, now: Now) -> Result<Self, WriteError> {
        let folder = folder_of(path);
        create_folder(folder).map_err(WriteError::io("create folder", folder))?;
        Self::check(path)?;
        let file = platform::open(path).map_err(WriteError::io("open", path))?;
        platform::try_lock(&file).map_err(|error| match error {
            TryLockError::WouldBlock => WriteError::Locked {
                path: path.to_path_buf(),
            },
            TryLockError::Error(error) => WriteError::io("lock", path)(error),
        })?;
        sync_folder(folder).map_err(WriteError::io("sync folder", folder))?;
        let incomplete = incomplete_line(&file, path)?;
        let metadata = file.metadata().map_err(WriteError::io("look up", path))?;
        let created = metadata.created().or_else(|_| metadata.modified());
        let age = created.map_or(Duration::ZERO, |created| {
            now.wall.duration_since(created).unwrap_or_default()
        });
        Ok(Self {
            file,
            age,
            since: now.monotonic,
            unfinished: None,
            incomplete,
        })
    }

    /// Whether the path still names this file.
    pub(super) fn is_at(&self, path: &Path) -> io::Result<bool> {
        match platform::is_at(&self.file, path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            found => found,
        }
    }

    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Time since the first line was written. The system clock counts only for the time before
    /// the file was opened.
    pub(super) fn age(&self, now: Now) -> Duration {
        self.age + now.monotonic.saturating_duration_since(self.since)
    }

    /// Appends what `write` writes. If that fails, truncates the file to where it was.
    pub(super) fn append<T>(
        &mut self,
        now: Now,
        write: impl FnOnce(&File) -> io::Result<T>,
    ) -> io::Result<T> {
        self.repair()?;
        let before = self.len()?;
        platform::go_to_end(&self.file, before)?;
        self.unfinished = Some(before);
        let written = write(&self.file).and_then(|written| {
            self.file.sync_data()?;
            Ok(written)
        });
        match written {
            Ok(written) => {
                self.unfinished = None;
                if before == 0 {
                    self.age = Duration::ZERO;
                    self.since = now.monotonic;
                }
                Ok(written)
            }
            Err(failed) => {
                if let Err(error) = self.undo() {
                    log::warn!(error:%; "cannot remove a partly written batch yet, trying again before the next one");
                }
                Err(failed)
            }
        }
    }

    /// Removes the incomplete last line of an earlier exporter, and a batch that is not all on disk.
    pub(super) fn repair(&mut self) -> io::Result<()> {
        if let Some(IncompleteLine { path, start }) = &self.incomplete {
            let bytes = self.cut(*start)?;
            log::warn!(path:% = path.display(), bytes; "removed an incomplete last line");
            self.incomplete = None;
        }
        self.undo()
    }

    /// Removes a batch that is not all on disk.
    fn undo(&mut self) -> io::Result<()> {
        if let Some(start) = self.unfinished {
            self.cut(start)?;
            self.file.sync_data()?;
            self.unfinished = None;
        }
        Ok(())
    }

    /// Cuts off what is after this length, unless another program has made the file shorter. Returns how many bytes that were.
    fn cut(&self, start: u64) -> io::Result<u64> {
        let len = self.len()?;
        self.file.set_len(len.min(start))?;
        Ok(len.saturating_sub(start))
    }
}

impl Drop for OpenFile {
    /// A panic while a batch is written must not leave a part of it.
    fn drop(&mut self) {
        if let Err(error) = self.undo() {
            log::warn!(error:%; "cannot remove a partly written batch, its lines will be written twice");
        }
    }
}

/// The incomplete last line, if there is one. It stays until the first batch.
fn incomplete_line(file: &File, path: &Path) -> Result<Option<IncompleteLine>, WriteError> {
    let failed = || WriteError::io("read", path);
    let len = file.metadata().map_err(failed())?.len();
    let whole = end_of_last_line(file, len).map_err(failed())?;
    if whole == len {
        return Ok(None);
    }
    let mut first = [0];
    platform::read_exact_at(file, &mut first, whole).map_err(failed())?;
    // Every line of an exporter begins with a brace. After a power failure some
    // file systems show zeros where a write did not reach the disk. Anything else
    // belongs to another program, and nothing of it may be deleted.
    if !matches!(first, [b'{' | 0]) {
        return Err(WriteError::ForeignContent {
            path: path.to_path_buf(),
        });
    }
    Ok(Some(IncompleteLine {
        path: path.to_path_buf(),
        start: whole,
    }))
}

fn end_of_last_line(file: &File, len: u64) -> io::Result<u64> {
    let mut step = Vec::new();
    let mut end = len;
    while end > 0 {
        let start = end.saturating_sub(STEP);
        step.resize((end - start) as usize, 0);
        platform::read_exact_at(file, &mut step, start)?;
        if let Some(newline) = step.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn check_regular(path: &Path, found: FileType) -> Result<(), WriteError> {
    let found = if found.is_file() {
        return Ok(());
    } else if found.is_dir() {
        "a folder"
    } else if found.is_symlink() {
        "a symbolic link"
    } else {
        platform::kind_of(found)
    };
    Err(WriteError::NotAFile {
        path: path.to_path_buf(),
        found,
    })
}
