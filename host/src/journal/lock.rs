//! The lock on the state folder: one host at a time.
//!
//! The kernel releases it when the host process ends. The process id in the file
//! is for messages only.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::Path;

use super::error::OpenError;

/// Held as long as the host may write to the folder.
#[derive(Debug)]
pub(super) struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the lock. The error names the process that has it.
    pub(super) fn take(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join("lock");
        let unusable = |source| OpenError::Folder {
            path: folder.to_path_buf(),
            source,
        };
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse {
                    path: folder.to_path_buf(),
                    pid: read_pid(&path),
                });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(unusable)?;
        Ok(Self { _file: file })
    }
}

/// The id of the host process that uses the folder; `None` if no host does.
pub(super) fn holder(folder: &Path) -> Option<String> {
    let path = folder.join("lock");
    let file = File::open(&path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(read_pid(&path)),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

fn read_pid(path: &Path) -> String {
    let pid = fs::read_to_string(path).unwrap_or_default();
    pid.trim().to_owned()
}
