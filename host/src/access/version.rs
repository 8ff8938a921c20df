//! Tells whether a file has changed.

use std::{io, os::unix::fs::MetadataExt, path::Path};

/// Changes whenever the file is replaced or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileVersion {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl FileVersion {
    /// The version of a file; `None` if it does not exist. Does not wait for the disk while the
    /// inode is cached.
    pub(super) fn of(path: &Path) -> io::Result<Option<Self>> {
        match path.metadata() {
            Ok(metadata) => Ok(Some(Self {
                inode: metadata.ino(),
                size: metadata.size(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
