//! A file that becomes another one when it is whole.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::platform::{FileUse, restrict};

/// A file with a name of its own, which is removed when it is dropped.
pub(crate) struct TemporaryFile {
    path: PathBuf,
    pub(crate) file: File,
}

impl TemporaryFile {
    pub(crate) fn create(folder: &Path, file_use: FileUse) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(".{}-{number}", std::process::id()));
        // An earlier process with the same id may have left a file of this name.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) | Ok(()) => {}
        }
        let mut options = OpenOptions::new();
        let file = restrict(options.write(true).create_new(true), file_use).open(&path)?;
        Ok(Self { path, file })
    }

    /// Replaces the file with this path, which is on the same file system.
    pub(crate) fn replace(&self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // After `replace` it has another name. A leftover file does no harm.
        let _ = fs::remove_file(&self.path);
    }
}
