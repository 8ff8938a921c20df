//! Tells whether a file has changed.

use std::{io, path::Path, time::SystemTime};

use crate::platform::FileId;

/// Changes whenever the file is replaced or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileVersion {
    id: FileId,
    size: u64,
    modified: SystemTime,
}

impl FileVersion {
    /// The version of a file; `None` if it does not exist. Does not wait for the disk while the
    /// inode is cached.
    pub(super) fn of(path: &Path) -> io::Result<Option<Self>> {
        match path.metadata() {
            Ok(metadata) => Ok(Some(Self {
                id: FileId::of_path(path)?,
                size: metadata.len(),
                modified: metadata.modified()?,
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
