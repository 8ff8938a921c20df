//! A lock on a folder, which the kernel releases when the process ends.

use std::{
    ffi::OsStr,
    fs::{File, TryLockError},
    path::Path,
};

/// Held until this is dropped. The folder itself is locked, because a file in it can be deleted.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _folder: File,
}

impl FolderLock {
    /// # Errors
    ///
    /// `WouldBlock`: another process has the lock.
    pub(crate) fn try_take(folder: &Path) -> Result<Self, TryLockError> {
        let folder = File::open(folder).map_err(TryLockError::Error)?;
        folder.try_lock()?;
        Ok(Self { _folder: folder })
    }

    /// Locks an open file of the folder as well, until it is closed: a program may look at the file
    /// only.
    ///
    /// # Errors
    ///
    /// As [`Self::try_take`].
    pub(crate) fn try_lock_file(&self, file: &File) -> Result<(), TryLockError> {
        file.try_lock()
    }

    /// Whether a process has the lock.
    pub(crate) fn is_held(folder: &Path) -> bool {
        let Ok(folder) = File::open(folder) else {
            return false;
        };
        matches!(folder.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Whether an entry of the folder belongs to its lock.
    pub(crate) const fn is_part(_: &OsStr) -> bool {
        false
    }
}
