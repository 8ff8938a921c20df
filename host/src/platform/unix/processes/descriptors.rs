//! The descriptors of the process.
//!
//! Promises: after [`take_host_connections`], the process has the connection, the library, and nothing else
//! of the host: standard input is empty, and both outputs go to the host's log.

#![expect(
    unsafe_code,
    reason = "the compiler cannot know that no one uses an inherited descriptor"
)]

use std::{
    env,
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    path::PathBuf,
    process::Command,
};

use delfin_plugin_protocol::FrameSocket;
use rustix::{
    fs::FileType,
    io::Errno,
    stdio::{dup2_stdin, dup2_stdout},
};

use crate::platform::ProgramStart;

/// What the host has passed.
pub(crate) struct HostConnections {
    pub(crate) socket: FrameSocket,
    pub(crate) library: InheritedLibrary,
}

/// The library that the process opens.
#[derive(Debug)]
pub(crate) struct InheritedLibrary(OwnedFd);

/// Takes what the host has passed as standard descriptors, and closes all others.
///
/// # Errors
///
/// The process was not started by a host.
pub(crate) fn take_host_connections() -> io::Result<HostConnections> {
    check_host_connection()?;
    // Copies get numbers above 2, and are closed by the next `exec`.
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let library = io::stdout().as_fd().try_clone_to_owned()?;
    dup2_stdin(File::open("/dev/null")?)?;
    dup2_stdout(io::stderr())?;
    Ok(HostConnections {
        socket,
        library: InheritedLibrary(library),
    })
}

/// Checks that standard input is the connection, and closes all other descriptors than the
/// standard ones.
pub(crate) fn check_host_connection() -> io::Result<()> {
    close_inherited()?;
    let mode = rustix::fs::fstat(io::stdin())?.st_mode;
    match FileType::from_raw_mode(mode) {
        FileType::Socket => Ok(()),
        _ => Err(io::Error::other("standard input is not a socket")),
    }
}

impl InheritedLibrary {
    /// A path by which the dynamic linker opens exactly this file.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

/// Becomes a program, with the connection and nothing else of the host. Returns only if that fails.
pub(crate) fn become_program(program: &ProgramStart) -> io::Error {
    let prepared = || {
        if program.stdio {
            dup2_stdout(io::stdin())?;
        }
        env::set_current_dir(&program.folder)
    };
    if let Err(error) = prepared() {
        return error;
    }
    let mut command = Command::new(&program.program);
    if let Some((name, arguments)) = program.words.split_first() {
        command.arg0(name).args(arguments);
    }
    command.exec()
}

/// Whether the process can have no further descriptor.
pub(crate) fn are_descriptors_used_up() -> bool {
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
