//! The descriptors of the process.
//!
//! Promises: after [`take`], the process has the connection, the library, and nothing else
//! of the host: standard input is empty, and both outputs go to the host's log.

#![expect(
    unsafe_code,
    reason = "the compiler cannot know that no one uses an inherited descriptor"
)]

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    path::PathBuf,
};

use rustix::{
    fs::FileType,
    io::Errno,
    stdio::{dup2_stdin, dup2_stdout},
};

/// What the host has passed.
pub(super) struct Connections {
    pub(super) socket: OwnedFd,
    pub(super) library: OwnedFd,
}

/// Takes what the host has passed as standard descriptors, and closes all others.
pub(super) fn take() -> io::Result<Connections> {
    check_connection()?;
    // Copies get numbers above 2, and are closed by the next `exec`.
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let library = io::stdout().as_fd().try_clone_to_owned()?;
    dup2_stdin(File::open("/dev/null")?)?;
    dup2_stdout(io::stderr())?;
    Ok(Connections { socket, library })
}

/// Checks that standard input is the connection, and closes all other descriptors than the
/// standard ones.
pub(super) fn check_connection() -> io::Result<()> {
    close_inherited()?;
    let mode = rustix::fs::fstat(io::stdin())?.st_mode;
    match FileType::from_raw_mode(mode) {
        FileType::Socket => Ok(()),
        _ => Err(io::Error::other("standard input is not a socket")),
    }
}

/// A path by which the dynamic linker opens exactly this file.
pub(super) fn path(library: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", library.as_raw_fd()).into()
}

/// Whether the process can have no further descriptor.
pub(super) fn are_used_up() -> bool {
    matches!(rustix::io::dup(io::stderr()), Err(Errno::MFILE))
}

/// Closes what the host has inherited or opened without `O_CLOEXEC`.
fn close_inherited() -> io::Result<()> {
    let entries = fs::read_dir("/proc/self/fd")?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let numbers: Vec<RawFd> = names.filter_map(|name| name.parse().ok()).collect();
    // The folder itself was open, and is closed again.
    let is_open = |number: &RawFd| fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok();
    for number in numbers
        .into_iter()
        .filter(|number| *number > 2 && is_open(number))
    {
        // SAFETY: the process has just started, and has opened nothing itself that is
        // still open. So this number is not owned.
        unsafe { rustix::io::close(number) }
    }
    Ok(())
}
