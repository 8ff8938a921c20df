//! Files and folders that outlive a power failure, and what an error about them means.
//!
//! Promises: a folder or file that a function has written is durable when the function returns.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use crate::{Failure, platform};

/// An error of the system about a file or folder.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Only a person can correct it.
    #[error(
        "cannot {action} `{}`: {reason} (let the host's user write there, or name another path)",
        path.display()
    )]
    Permanent {
        /// What failed.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error.
        reason: io::Error,
    },
    /// It can pass, as a full disk does.
    #[error("cannot {action} `{}`: {reason}", path.display())]
    Transient {
        /// What failed.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error.
        reason: io::Error,
    },
}

impl FileError {
    /// Decides by the kind of an I/O error whether it can pass on its own: a full
    /// disk can, a missing permission cannot.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |reason| {
            let path = path.to_path_buf();
            match reason.kind() {
                ErrorKind::PermissionDenied
                | ErrorKind::NotFound
                | ErrorKind::NotADirectory
                | ErrorKind::IsADirectory
                | ErrorKind::InvalidFilename => Self::Permanent {
                    action,
                    path,
                    reason,
                },
                _ => Self::Transient {
                    action,
                    path,
                    reason,
                },
            }
        }
    }

    /// The failure that the error means.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Permanent { .. } => Failure::misconfigured(self),
            Self::Transient { .. } => Failure::retry(self),
        }
    }
}

/// The folder of a file: `.` if the path has none.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

/// Creates a folder and those above it, unless they exist.
///
/// # Errors
///
/// One cannot be created.
pub fn create_folder(folder: &Path) -> io::Result<()> {
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

/// Makes the names in a folder durable.
///
/// # Errors
///
/// The folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    platform::sync_folder(folder)
}

/// Creates or replaces a file as a whole: readers see all of it or nothing. Its folder is created
/// if it does not exist.
///
/// The content is first in a file of the same folder whose name begins with a dot. After a crash
/// this file can remain; the next attempt with the same path replaces it.
///
/// # Errors
///
/// The system cannot write the file.
pub fn write_file(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let folder = folder_of(path);
    create_folder(folder).map_err(FileError::io("create folder", folder))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = folder.join(format!(".{name}.new"));
    let written = write_and_sync(&new, content).map_err(FileError::io("write", &new));
    let written = written
        .and_then(|()| {
            platform::rename(&new, path).map_err(FileError::io("rename a file to", path))
        })
        .and_then(|()| sync_folder(folder).map_err(FileError::io("sync folder", folder)));
    if written.is_err() {
        // A part of a file needs space, which the disk may not have. It may not exist either.
        let _ = fs::remove_file(&new);
    }
    written
}

fn write_and_sync(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    // Also the group of the host: a person who reads the files need not be its user.
    let mut file = platform::let_group_read(&mut options).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_leaves_no_other() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/c.bin");
        for content in ["first, and longer", "second"] {
            write_file(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(names(&root.path().join("a/b")), ["c.bin"]);
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_the_old_one_and_names_the_remedy() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("taken");
        fs::create_dir_all(folder.join("inner")).unwrap();
        let failure = write_file(&folder, b"x").unwrap_err().failure();
        let Failure::Misconfigured { message } = failure else {
            panic!("{failure:?}");
        };
        assert!(
            message.starts_with("cannot rename a file to `"),
            "{message}"
        );
        assert!(message.ends_with("or name another path)"), "{message}");
        assert_eq!(names(root.path()), ["taken"]);
        let below_a_file = root.path().join("file/x");
        fs::write(root.path().join("file"), "content").unwrap();
        assert!(write_file(&below_a_file, b"x").is_err());
    }

    #[test]
    fn a_full_disk_can_pass() {
        let full = FileError::io("write", Path::new("/a"))(ErrorKind::StorageFull.into());
        assert!(matches!(full.failure(), Failure::Retry { .. }));
    }
}
