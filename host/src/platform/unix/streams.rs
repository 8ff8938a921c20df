//! Copies of standard streams, which write past the locks of the standard library.

use std::{fs::File, io, os::fd::AsFd};

/// The lowest number of the copy of standard error.
const MIN_DESCRIPTOR: i32 = 100;

/// # Errors
///
/// The limit of open files is lower than the number of the copy.
pub(crate) fn copy_of_stderr() -> io::Result<File> {
    let copy = rustix::io::fcntl_dupfd_cloexec(io::stderr(), MIN_DESCRIPTOR)?;
    Ok(File::from(copy))
}

/// # Errors
///
/// No descriptor is left.
pub(crate) fn copy_of_stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}
