//! A lock on a folder, which the kernel releases when the process ends.

use std::{
    ffi::OsStr,
    fs::{self, File, Metadata, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use procfs::{LockKind, LockType};
use rustix::{
    fs::makedev,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
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

    /// Ends the process that has the lock, also one that is stopped.
    ///
    /// # Errors
    ///
    /// The system does not tell which process it is, or does not allow to end it.
    pub(crate) fn end_holder(folder: &Path) -> io::Result<()> {
        let metadata = fs::metadata(folder)?;
        let pid = holder(&metadata)?;
        // From here on, the number cannot come to mean another process.
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        if holder(&metadata)? == pid {
            pidfd_send_signal(&process, Signal::KILL)?;
        }
        Ok(())
    }

    /// Whether an entry of the folder belongs to its lock.
    pub(crate) const fn is_part(_: &OsStr) -> bool {
        false
    }
}

/// The process that has the lock of a folder, as the kernel tells.
fn holder(folder: &Metadata) -> io::Result<Pid> {
    let locks = procfs::locks().map_err(io::Error::other)?;
    let mut holders = locks.into_iter().filter(|lock| {
        let device = makedev(lock.devmaj, lock.devmin);
        let is_exclusive = matches!(
            (&lock.lock_type, &lock.kind),
            (LockType::FLock, LockKind::Write)
        );
        is_exclusive && lock.inode == folder.ino() && device == folder.dev()
    });
    let pid = holders.find_map(|lock| Pid::from_raw(lock.pid?));
    pid.ok_or_else(|| io::Error::other("the system does not tell which process has the lock"))
}

#[cfg(test)]
mod tests {
    use std::{
        env,
        io::{BufRead, BufReader, Write, stdin, stdout},
        os::unix::process::ExitStatusExt,
        process::{Command, Stdio},
    };

    use super::*;

    /// The folder that the child locks.
    const FOLDER: &str = "DELFIN_TEST_LOCK";

    /// Runs only in a process of its own: has the lock until its standard input ends.
    #[test]
    fn in_a_child() {
        let Some(folder) = env::var_os(FOLDER) else {
            return;
        };
        let _lock = FolderLock::try_take(Path::new(&folder)).unwrap();
        stdout().write_all(b"\nlocked\n").unwrap();
        stdin().lines().for_each(drop);
    }

    #[test]
    fn the_process_that_has_the_lock_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        assert!(FolderLock::end_holder(folder.path()).is_err());
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "platform::unix::folder_lock::tests::in_a_child"])
            .arg("--nocapture")
            .env(FOLDER, folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.is_ok_and(|line| line == "locked")));
        assert!(FolderLock::is_held(folder.path()));
        FolderLock::end_holder(folder.path()).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(FolderLock::try_take(folder.path()).is_ok());
    }
}
