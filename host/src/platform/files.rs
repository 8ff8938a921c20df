//! Files, as every system has them.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
};

use super::{
    FileReaders,
    system::files::{open_no_follow, open_no_wait, restrict, sync_folder},
};

/// Further options to open a file.
pub(crate) trait OpenRestricted {
    /// Who can read the file, if it is created.
    fn readable_by(&mut self, readers: FileReaders) -> &mut Self;

    /// Opens a file. A symbolic link is refused.
    fn open_no_follow(&mut self, path: &Path) -> io::Result<File>;

    /// Opens a file. For a named pipe, does not wait for its other end.
    fn open_no_wait(&mut self, path: &Path) -> io::Result<File>;
}

impl OpenRestricted for OpenOptions {
    fn readable_by(&mut self, readers: FileReaders) -> &mut Self {
        restrict(self, readers)
    }

    fn open_no_follow(&mut self, path: &Path) -> io::Result<File> {
        open_no_follow(self, path)
    }

    fn open_no_wait(&mut self, path: &Path) -> io::Result<File> {
        open_no_wait(self, path)
    }
}

/// Renames a file. When it returns, the new name survives a power failure.
pub(crate) fn rename_durable(from: &Path, to: &Path) -> io::Result<()> {
    super::rename(from, to)?;
    to.parent().map_or(Ok(()), sync_folder)
}
