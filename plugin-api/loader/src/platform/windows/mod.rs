//! Windows.

#![expect(
    unsafe_code,
    reason = "opening a library and reading its symbols cannot be checked by the compiler"
)]

pub(super) mod linker;
mod rights;

use std::{
    fmt,
    fs::{File, Metadata, OpenOptions},
    io,
    os::windows::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, absolute},
};

pub(crate) use libloading::os::windows::Library;
use libloading::os::windows::{LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR, LOAD_LIBRARY_SEARCH_SYSTEM32};
use windows_sys::Win32::{
    Foundation::ERROR_MOD_NOT_FOUND,
    Storage::FileSystem::{FILE_FLAG_BACKUP_SEMANTICS, READ_CONTROL},
};

pub use self::rights::{
    Account, FileRights, create_private_file, create_private_folder, is_elevated,
};
use super::{Correction, FileStamp, FileUse, Writer};
use crate::glibc::GlibcVersion;

/// Whether plugins that are programs run: they need a connection that they inherit.
pub(crate) const RUNS_PROGRAMS: bool = false;

/// Creates a folder that only this user and administrators can use, and those above it, if they do not
/// exist.
pub(crate) fn create_private_folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() || folder == Path::new("") {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        create_private_folders(above)?;
    }
    match create_private_folder(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Opens a file for reading.
pub(crate) fn open_nonblocking(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// A new file has the access list of its folder.
pub(crate) const fn restrict(options: &mut OpenOptions, _: FileUse) -> &mut OpenOptions {
    options
}

/// Without a time of change: all who can write a file can choose each of its times.
pub(crate) fn file_stamp(metadata: &Metadata) -> FileStamp {
    FileStamp {
        device: 0,
        inode: 0,
        size: metadata.file_size(),
        // In units of 100 nanoseconds, which is enough to compare them.
        modified_ns: metadata.last_write_time().cast_signed(),
        changed_ns: None,
    }
}

/// `None`: no file is remembered, see [`file_stamp`].
pub(crate) const fn boot_id() -> Option<String> {
    None
}

/// No file system forbids to run what is in a folder.
pub(crate) const fn is_noexec(_: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Whether this user can run the file: by the end of its name.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("exe"))
}

/// The system does not tell loops from other errors.
pub(crate) const fn is_link_loop(_: &io::Error) -> bool {
    false
}

/// Who can write a file or a folder besides administrators and the host's user, if anyone. Asks by the path:
/// who can replace the file can write its folder, which is checked as well.
pub(crate) fn writer_of(path: &Path, _: &Metadata) -> io::Result<Option<Writer>> {
    let file = OpenOptions::new()
        .access_mode(READ_CONTROL)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
        .open(path)?;
    let (rights, own) = (FileRights::of(&file)?, Account::current()?);
    let is_trusted = |account: &Account| *account == own || account.is_administrator();
    if !is_trusted(rights.owner()) {
        return Ok(Some(Writer::Owner {
            user: format!("`{}`", rights.owner()),
        }));
    }
    let other = rights.writers().find(|account| !is_trusted(account));
    Ok(other.map(|account| Writer::Account(account.to_string())))
}

/// The commands that take writers their right: one for each path, because `icacls` takes no list.
pub(crate) fn remedy(corrections: &[Correction<'_>]) -> String {
    let commands = corrections.iter().map(|correction| {
        let path = correction.path.display();
        let recursive = if correction.recursive { " /T" } else { "" };
        match correction.by {
            Writer::Account(account) => {
                format!("icacls \"{path}\" {}{recursive}", icacls_removal(account))
            }
            Writer::Owner { .. } | Writer::Mode(_) => {
                format!("icacls \"{path}\" /setowner Administrators{recursive}")
            }
        }
    });
    let mut commands: Vec<String> = commands.collect();
    commands.dedup();
    commands.join("; ")
}

/// The words for `icacls` that take an account its rights, also those that a file has from its folder.
#[must_use]
pub fn icacls_removal(account: impl fmt::Display) -> String {
    format!("/inheritance:d /remove:g \"{account}\"")
}

/// Opens a library.
///
/// # Errors
///
/// Those of the system.
///
/// # Safety
///
/// This runs the entry point of the library, and is as safe as that.
pub(crate) unsafe fn open_library(path: &Path) -> Result<Library, libloading::Error> {
    let flags = LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_SYSTEM32;
    // With these flags, the system takes no relative path.
    let path = absolute(path).unwrap_or_else(|_| path.to_owned());
    // SAFETY: the caller trusts the entry point.
    unsafe { Library::load_with_flags(path, flags) }
}

/// `None`: the system does not say which library is missing.
pub(crate) const fn missing_library(_: &str) -> Option<&str> {
    None
}

/// Whether an error of the system says that some library is missing.
pub(crate) fn lacks_some_library(error: &str) -> bool {
    error.ends_with(&format!("(os error {ERROR_MOD_NOT_FOUND})"))
}

/// `None`: no process has it.
pub(crate) const fn running_glibc() -> Option<GlibcVersion> {
    None
}
