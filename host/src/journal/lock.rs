//! The lock on the state folder: one host at a time.
//!
//! The folder itself is locked, because the file `lock` can be deleted while a host runs. The
//! file contains the process id for messages. The system releases the lock when the host process
//! ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::OpenError;
use crate::platform::{FolderLock, OpenRestricted, give_to_owner_of, link_count};

/// Held as long as the host may write to the folder.
#[derive(Debug)]
pub struct StateLock {
    folder: PathBuf,
    file: File,
    _lock: FolderLock,
}

impl StateLock {
    /// Takes the lock. The error names the process that has it.
    ///
    /// # Errors
    ///
    /// A host uses the folder, or the folder cannot be used.
    pub fn take(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join("lock");
        let failed = |error: TryLockError| match error {
            TryLockError::WouldBlock => OpenError::InUse {
                path: folder.to_path_buf(),
                pid: read_pid(&path),
            },
            TryLockError::Error(source) => unusable(folder, source),
        };
        let lock = FolderLock::try_take(folder).map_err(failed)?;
        let mut file = open_regular(&path).map_err(|source| unusable(folder, source))?;
        lock.try_lock_file(&file).map_err(failed)?;
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|source| unusable(folder, source))?;
        Ok(Self {
            folder: folder.to_path_buf(),
            file,
            _lock: lock,
        })
    }

    /// Gives the lock file to the owner of the folder. Root may do so.
    ///
    /// # Errors
    ///
    /// The file system does not allow it.
    pub fn hand_over(&self) -> io::Result<()> {
        give_to_owner_of(&self.folder, &self.file)
    }
}

/// The id of the host process that uses the folder; `None` if no host does.
pub(super) fn holder(folder: &Path) -> Option<String> {
    FolderLock::is_held(folder).then(|| read_pid(&folder.join("lock")))
}

/// Opens a file for writing, and creates a missing one. A link is refused, symbolic or hard: the
/// file of another folder would be overwritten with the rights of the host.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open_no_follow(path)?;
    if link_count(&file)? > 1 {
        let reason = format!(
            "`{}` has a second name, as a hard link (remove it)",
            path.display()
        );
        return Err(io::Error::other(reason));
    }
    Ok(file)
}

fn unusable(folder: &Path, source: io::Error) -> OpenError {
    OpenError::Folder {
        path: folder.to_path_buf(),
        source,
    }
}

fn read_pid(path: &Path) -> String {
    let pid = fs::read_to_string(path).unwrap_or_default();
    let pid = pid.trim();
    if pid.is_empty() { "unknown" } else { pid }.to_owned()
}
