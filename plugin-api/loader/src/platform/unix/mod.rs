//! Unix.

#![expect(
    unsafe_code,
    reason = "opening a library and reading its symbols cannot be checked by the compiler"
)]

pub(super) mod linker;

use std::{
    ffi::{CStr, c_char},
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io,
    mem::ManuallyDrop,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

pub(crate) use libloading::os::unix::Library;
use libloading::os::unix::{RTLD_LOCAL, RTLD_NOW};
use rustix::{
    fs::{Access, OFlags, StatVfsMountFlags, access, statvfs},
    io::Errno,
};

use super::{Correction, FileStamp, FileUse, SECOND_NS, Writer};
use crate::glibc::GlibcVersion;

/// Whether plugins that are programs run.
pub(crate) const RUNS_PROGRAMS: bool = true;

/// Creates a folder that only this user can use, and those above it, if they do not exist.
pub(crate) fn create_private_folders(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Opens a file for reading. If the file was replaced by a FIFO, a blocking open would wait for a
/// writer.
pub(crate) fn open_nonblocking(path: &Path) -> io::Result<File> {
    let nonblock = OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new()
        .read(true)
        .custom_flags(nonblock)
        .open(path)
}

/// Only this user can use a new file.
pub(crate) fn restrict(options: &mut OpenOptions, file_use: FileUse) -> &mut OpenOptions {
    options.mode(match file_use {
        FileUse::Data => 0o600,
        FileUse::Library => 0o500,
    })
}

pub(crate) fn file_stamp(metadata: &Metadata) -> FileStamp {
    let ns = |seconds: i64, ns: i64| seconds.saturating_mul(SECOND_NS).saturating_add(ns);
    FileStamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.len(),
        modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
        changed_ns: Some(ns(metadata.ctime(), metadata.ctime_nsec())),
    }
}

/// Names the time since the machine was started.
pub(crate) fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Whether nothing can be run that is in the folder.
pub(crate) fn is_noexec(folder: &Path) -> io::Result<bool> {
    Ok(statvfs(folder)?.f_flag.contains(StatVfsMountFlags::NOEXEC))
}

/// Whether this user can run the file.
pub(crate) fn is_executable(path: &Path) -> bool {
    access(path, Access::EXEC_OK).is_ok()
}

/// Whether a path could not be followed because a link leads to itself.
pub(crate) fn is_link_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

/// Who can write a file or a folder besides root and the host's user, if anyone.
#[expect(
    clippy::unnecessary_wraps,
    reason = "other systems are asked by the path"
)]
pub(crate) fn writer_of(_: &Path, metadata: &Metadata) -> io::Result<Option<Writer>> {
    Ok(writer(metadata.uid(), metadata.mode() & 0o7777))
}

fn writer(uid: u32, mode: u32) -> Option<Writer> {
    if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        let user = format!("user {uid}");
        return Some(Writer::Owner { user });
    }
    (mode & 0o022 != 0).then_some(Writer::Mode(mode))
}

/// The commands that take writers their right.
pub(crate) fn remedy(corrections: &[Correction<'_>]) -> String {
    let commands = [
        ("chown -R root", true, true),
        ("chown root", true, false),
        ("chmod -R go-w", false, true),
        ("chmod go-w", false, false),
    ];
    let commands = commands.map(|(command, of_owner, recursive)| {
        let corrected = corrections.iter().filter(|correction| {
            let is_owner = matches!(correction.by, Writer::Owner { .. });
            (is_owner, correction.recursive) == (of_owner, recursive)
        });
        let mut words: Vec<String> = corrected
            .map(|correction| shell_word(correction.path))
            .collect();
        words.dedup();
        match words.is_empty() {
            true => String::new(),
            false => format!("{command} {}", words.join(" ")),
        }
    });
    let commands = commands.into_iter().filter(|command| !command.is_empty());
    commands.collect::<Vec<_>>().join("; ")
}

/// The path as a word of a shell command.
fn shell_word(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%=:,".contains(c);
    if !path.is_empty() && path.chars().all(plain) {
        path
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

/// Opens a library.
///
/// # Errors
///
/// Those of the linker.
///
/// # Safety
///
/// This runs the constructors of the library, and is as safe as they are.
pub(crate) unsafe fn open_library(path: &Path) -> Result<Library, libloading::Error> {
    // SAFETY: the caller trusts the constructors.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
}

/// The library that an error of the linker says is missing.
pub(crate) fn missing_library(error: &str) -> Option<&str> {
    let (library, _) = error.split_once(": cannot open shared object file")?;
    Some(library)
}

/// Whether an error of the linker says that some library is missing: it names the library.
pub(crate) const fn lacks_some_library(_: &str) -> bool {
    false
}

/// The version of glibc in this process; `None` with another C library.
pub(crate) fn running_glibc() -> Option<GlibcVersion> {
    type Version = unsafe extern "C" fn() -> *const c_char;
    let process = ManuallyDrop::new(Library::this());
    // SAFETY: only glibc has this symbol, with this signature.
    let version = unsafe { process.get::<Version>("gnu_get_libc_version") }.ok()?;
    // SAFETY: the function takes no argument and returns a string.
    let text = unsafe { version() };
    // SAFETY: the string is a constant of glibc.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_own_user_are_trusted() {
        let own = rustix::process::geteuid().as_raw();
        for uid in [0, own] {
            assert_eq!(writer(uid, 0o755), None);
        }
        for uid in [own + 1, u32::MAX] {
            let user = format!("user {uid}");
            assert_eq!(writer(uid, 0o755), Some(Writer::Owner { user }));
        }
    }

    #[test]
    fn a_mode_is_refused_only_if_group_or_others_can_write() {
        for mode in [0o644, 0o755, 0o555, 0o4711] {
            assert_eq!(writer(0, mode), None, "{mode:o}");
        }
        for mode in [0o664, 0o646, 0o1777, 0o020] {
            assert_eq!(writer(0, mode), Some(Writer::Mode(mode)));
        }
    }
}
