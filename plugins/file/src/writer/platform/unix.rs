//! Unix.

use std::{
    fs::{self, File, FileType, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::Access;

/// Opens a file for reading and appending. The group can read one that is created.
pub(in crate::writer) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

/// Whether this process may write a file, or create files in a folder.
pub(in crate::writer) fn check_writable(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(path, Access::WRITE_OK)?)
}

/// Nothing: each write appends.
#[expect(clippy::unnecessary_wraps, reason = "other systems can fail")]
pub(in crate::writer) const fn go_to_end(_: &File, _: u64) -> io::Result<()> {
    Ok(())
}

/// Locks a file until it is closed.
pub(in crate::writer) fn try_lock(file: &File) -> Result<(), TryLockError> {
    file.try_lock()
}

/// Whether the path names the file. A link is not followed.
pub(in crate::writer) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let (ours, found) = (file.metadata()?, fs::symlink_metadata(path)?);
    Ok((found.dev(), found.ino()) == (ours.dev(), ours.ino()))
}

pub(in crate::writer) fn read_exact_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    file.read_exact_at(buffer, at)
}

/// What a path names that is neither a regular file, nor a folder, nor a link.
pub(in crate::writer) fn kind_of(found: FileType) -> &'static str {
    if found.is_fifo() {
        "a pipe"
    } else if found.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}
