//! A folder for unfinished files, next to the file that they become.
//!
//! Its name follows from the file's, so that a command that was killed leaves one folder, which the
//! next command for the same file empties and removes.

use std::{
    fs::{self, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::error::StateError;
use crate::platform::{self, FileReaders, FolderLock, create_folder};

/// Removed when it is dropped.
pub(super) struct Workspace {
    path: PathBuf,
    /// Until the folder is removed.
    lock: Option<FolderLock>,
}

impl Workspace {
    /// The folder for a file that does not exist yet.
    pub(super) fn for_file(file: &Path) -> Result<Self, StateError> {
        let busy = || StateError::Busy {
            path: file.to_owned(),
        };
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let path = file.with_file_name(format!(".{name}.partial"));
        let failed = |error| StateError::of_file(&path)(error);
        match create_folder(&path, FileReaders::Owner) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(error));
            }
            Ok(()) | Err(_) => {}
        }
        let lock = FolderLock::try_take(&path).map_err(|error| match error {
            TryLockError::WouldBlock => busy(),
            TryLockError::Error(error) => failed(error),
        })?;
        empty(&path)?;
        Ok(Self {
            path,
            lock: Some(lock),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let emptied = empty(&self.path);
        // The lock can be a file in the folder, which is removed when the lock is released.
        drop(self.lock.take());
        let removed = emptied
            .and_then(|()| fs::remove_dir(&self.path).map_err(StateError::of_file(&self.path)));
        if let Err(error) = removed {
            log::debug!(folder:% = self.path.display(), error:%; "cannot remove a folder of unfinished files");
        }
    }
}

/// Removes what is in the folder, but not its lock.
fn empty(folder: &Path) -> Result<(), StateError> {
    let failed = |error| StateError::of_file(folder)(error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !FolderLock::is_part(&entry.file_name()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a file or a folder, if it exists.
pub(super) fn remove(path: &Path) -> Result<(), StateError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StateError::of_file(path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes the entries of a folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), StateError> {
    platform::sync_folder(path).map_err(StateError::of_file(path))
}
