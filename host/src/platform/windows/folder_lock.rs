//! A lock on a folder, which the system releases when the process ends.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions, TryLockError},
    io,
    os::windows::fs::OpenOptionsExt,
    path::Path,
};

use windows_sys::Win32::{
    Foundation::ERROR_SHARING_VIOLATION, Storage::FileSystem::FILE_FLAG_DELETE_ON_CLOSE,
};

/// A folder cannot be locked. This file in it is open for one process at a time, and cannot be
/// removed by another one.
const NAME: &str = "in-use";

/// Held until this is dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// # Errors
    ///
    /// `WouldBlock`: another process has the lock.
    pub(crate) fn try_take(folder: &Path) -> Result<Self, TryLockError> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .share_mode(0)
            .custom_flags(FILE_FLAG_DELETE_ON_CLOSE)
            .open(folder.join(NAME));
        match file {
            Ok(file) => Ok(Self { _file: file }),
            Err(error) if is_in_use(&error) => Err(TryLockError::WouldBlock),
            Err(error) => Err(TryLockError::Error(error)),
        }
    }

    /// Nothing: a lock on a file would hide its content from others.
    ///
    /// # Errors
    ///
    /// Never.
    #[expect(clippy::unused_self, reason = "as on systems that lock the file")]
    pub(crate) const fn try_lock_file(&self, _: &File) -> Result<(), TryLockError> {
        Ok(())
    }

    /// Whether a process has the lock.
    pub(crate) fn is_held(folder: &Path) -> bool {
        let opened = OpenOptions::new().read(true).open(folder.join(NAME));
        opened.is_err_and(|error| is_in_use(&error))
    }

    /// # Errors
    ///
    /// Always: Windows does not tell which process it is.
    pub(crate) fn end_holder(_: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether an entry of the folder belongs to its lock.
    pub(crate) fn is_part(name: &OsStr) -> bool {
        name == NAME
    }
}

fn is_in_use(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_SHARING_VIOLATION.cast_signed())
}
