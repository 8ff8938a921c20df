//! The lock on the state folder: one host at a time.
//!
//! The folder itself is locked, because the file `lock` can be deleted while a host runs. The
//! file is locked too, and contains the process id for messages. The kernel releases both locks
//! when the host process ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use rustix::fs::OFlags;

use super::error::OpenError;

/// Held as long as the host may write to the folder.
#[derive(Debug)]
pub struct StateLock {
    folder: File,
    file: File,
}

impl StateLock {
    /// Takes the lock. The error names the process that has it.
    ///
    /// # Errors
    ///
    /// A host uses the folder, or the folder cannot be used.
    pub fn take(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join("lock");
        let failed = |error: TryLockError| match error {
            TryLockError::WouldBlock => OpenError::InUse {
                path: folder.to_path_buf(),
                pid: read_pid(&path),
            },
            TryLockError::Error(source) => unusable(folder, source),
        };
        let opened = File::open(folder).map_err(|source| unusable(folder, source))?;
        opened.try_lock().map_err(failed)?;
        let mut file = open_regular(&path).map_err(|source| unusable(folder, source))?;
        file.try_lock().map_err(failed)?;
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|source| unusable(folder, source))?;
        Ok(Self {
            folder: opened,
            file,
        })
    }

    /// Gives the lock file to the owner of the folder. Root may do so.
    ///
    /// # Errors
    ///
    /// The file system does not allow it.
    pub fn hand_over(&self) -> io::Result<()> {
        let owner = self.folder.metadata()?;
        fchown(&self.file, Some(owner.uid()), Some(owner.gid()))
    }
}

/// The id of the host process that uses the folder; `None` if no host does.
pub(super) fn holder(folder: &Path) -> Option<String> {
    let opened = File::open(folder).ok()?;
    match opened.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(read_pid(&folder.join("lock"))),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// Opens a file for writing, and creates a missing one. A link is refused, symbolic or hard: the
/// file of another folder would be overwritten with the rights of the host.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    if file.metadata()?.nlink() > 1 {
        let reason = format!(
            "`{}` has a second name, as a hard link (remove it)",
            path.display()
        );
        return Err(io::Error::other(reason));
    }
    Ok(file)
}

fn unusable(folder: &Path, source: io::Error) -> OpenError {
    OpenError::Folder {
        path: folder.to_path_buf(),
        source,
    }
}

fn read_pid(path: &Path) -> String {
    let pid = fs::read_to_string(path).unwrap_or_default();
    let pid = pid.trim();
    if pid.is_empty() { "unknown" } else { pid }.to_owned()
}
