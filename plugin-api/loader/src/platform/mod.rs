//! What differs between operating systems. Each system has a folder with the same items.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

pub(crate) use system::{
    Library, RUNS_PROGRAMS, boot_id, create_private_folders, file_stamp, is_executable,
    is_link_loop, is_noexec, lacks_some_library,
    linker::{is_part_of_system, own_folders, system_folders},
    missing_library, open_library, open_nonblocking, remedy, restrict, running_glibc, writer_of,
};
#[cfg(windows)]
pub use windows::{
    Account, FileRights, create_private_file, create_private_folder, icacls_removal, is_elevated,
};

pub(crate) const SECOND_NS: i64 = 1_000_000_000;

/// What tells that a file is another one than before, or has other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileStamp {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    pub(crate) modified_ns: i64,
    /// `None`: the system has no time of change that only root can choose.
    pub(crate) changed_ns: Option<i64>,
}

/// What a new file is for: it decides who can use it, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileUse {
    /// It is read and written.
    Data,
    /// It is opened as a library, and not written again.
    Library,
}

/// The folders in which the linker looks for the libraries of one file only.
#[derive(Debug, Default)]
pub(crate) struct OwnFolders {
    /// The same for the copy that is opened.
    pub(crate) fixed: Vec<PathBuf>,
    /// Relative to the file.
    pub(crate) by_origin: Vec<PathBuf>,
}

/// Who can write a file or a folder besides the administrators and the host's user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writer {
    /// Another user owns it.
    Owner {
        /// The owner, as messages show it.
        user: String,
    },
    /// The group or other users can write it, by this mode.
    Mode(u32),
    /// This account can write it, by an access list.
    Account(String),
}

/// A path whose writer is taken its right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Correction<'a> {
    pub(crate) path: &'a Path,
    pub(crate) by: &'a Writer,
    /// For all that is in the folder, too.
    pub(crate) recursive: bool,
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner { user } => write!(f, "belongs to {user}"),
            Self::Mode(mode) => write!(f, "has mode {mode:04o}"),
            Self::Account(account) => write!(f, "lets `{account}` write"),
        }
    }
}
