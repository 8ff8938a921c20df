//! One open file: locked, ending with a whole line, its appends durable.
//!
//! Knows nothing of rotation.

use std::{
    fs::{self, File, FileType, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt},
    path::Path,
    time::{Duration, SystemTime},
};

use delfin_plugin_api::log;

use super::FileError;

/// How much of the end is read at once, in search of the last newline.
const STEP: u64 = 64 * 1024;

/// A file that no other exporter writes to.
pub(super) struct OpenFile {
    file: File,
    /// When the first line in it was written.
    since: SystemTime,
    /// Where a batch begins that is not all on the disk.
    half_batch: Option<u64>,
}

impl OpenFile {
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        let folder = folder_of(path);
        create_folder(folder).map_err(FileError::of("create folder", folder))?;
        match fs::symlink_metadata(path) {
            Ok(found) => check_regular(path, found.file_type())?,
            Err(missing) if missing.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(FileError::of("look at", path)(error)),
        }
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o640)
            .open(path)
            .map_err(FileError::of("open", path))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => FileError::Shared {
                path: path.to_path_buf(),
            },
            TryLockError::Error(error) => FileError::of("lock", path)(error),
        })?;
        sync_folder(folder).map_err(FileError::of("sync folder", folder))?;
        mend(&file, path)?;
        let metadata = file.metadata().map_err(FileError::of("look at", path))?;
        let since = metadata.created().or_else(|_| metadata.modified());
        Ok(Self {
            file,
            since: since.unwrap_or_else(|_| SystemTime::now()),
            half_batch: None,
        })
    }

    /// Whether the path still leads to this file.
    pub(super) fn is_at(&self, path: &Path) -> io::Result<bool> {
        let ours = self.file.metadata()?;
        match fs::symlink_metadata(path) {
            Ok(found) => Ok((found.dev(), found.ino()) == (ours.dev(), ours.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// How long ago the first line was written; nothing, if the clock was set
    /// back since.
    pub(super) fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.since).unwrap_or_default()
    }

    /// Appends what `write` writes; if that fails, takes it back.
    pub(super) fn append<T>(
        &mut self,
        now: SystemTime,
        write: impl FnOnce(&File) -> io::Result<T>,
    ) -> io::Result<T> {
        let before = self.len()?;
        self.half_batch = Some(before);
        let written = write(&self.file).and_then(|written| {
            self.file.sync_data()?;
            Ok(written)
        });
        match written {
            Ok(written) => {
                self.half_batch = None;
                if before == 0 {
                    self.since = now;
                }
                Ok(written)
            }
            Err(failed) => {
                if let Err(error) = self.take_back() {
                    log::warn!(error:%; "half a batch cannot be taken back yet");
                }
                Err(failed)
            }
        }
    }

    /// Cuts off a batch that is not all on the disk.
    pub(super) fn take_back(&mut self) -> io::Result<()> {
        if let Some(start) = self.half_batch {
            let len = self.len()?;
            self.file.set_len(len.min(start))?;
            self.file.sync_data()?;
            self.half_batch = None;
        }
        Ok(())
    }
}

impl Drop for OpenFile {
    /// For a panic in the middle of a batch.
    fn drop(&mut self) {
        if let Err(error) = self.take_back() {
            log::warn!(error:%; "half a batch cannot be taken back and comes twice");
        }
    }
}

/// Cuts off what a host that was killed has left of a line.
fn mend(file: &File, path: &Path) -> Result<(), FileError> {
    let failed = || FileError::of("mend", path);
    let len = file.metadata().map_err(failed())?.len();
    let whole = end_of_last_line(file, len).map_err(failed())?;
    if whole == len {
        return Ok(());
    }
    let mut first = [0];
    file.read_exact_at(&mut first, whole).map_err(failed())?;
    // Lines begin with a brace; after a power failure some file systems show
    // zeros where a write did not reach the disk.
    if !matches!(first, [b'{' | 0]) {
        return Err(FileError::Foreign {
            path: path.to_path_buf(),
        });
    }
    file.set_len(whole).map_err(failed())?;
    log::warn!(path:% = path.display(), bytes = len - whole; "torn last line cut off");
    Ok(())
}

fn end_of_last_line(file: &File, len: u64) -> io::Result<u64> {
    let mut step = Vec::new();
    let mut end = len;
    while end > 0 {
        let start = end.saturating_sub(STEP);
        step.resize((end - start) as usize, 0);
        file.read_exact_at(&mut step, start)?;
        if let Some(newline) = step.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn check_regular(path: &Path, found: FileType) -> Result<(), FileError> {
    let found = if found.is_file() {
        return Ok(());
    } else if found.is_dir() {
        "a folder"
    } else if found.is_symlink() {
        "a symbolic link"
    } else if found.is_fifo() {
        "a pipe"
    } else if found.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(FileError::NotAFile {
        path: path.to_path_buf(),
        found,
    })
}

pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder_of(folder);
    create_folder(above)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => sync_folder(above),
    }
}

/// Makes names in a folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some network file systems know no such thing.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}
