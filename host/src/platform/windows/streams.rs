//! Copies of standard streams, which write past the locks of the standard library.

use std::{fs::File, io, os::windows::io::AsHandle};

/// # Errors
///
/// The process has no standard error.
pub(crate) fn copy_of_stderr() -> io::Result<File> {
    Ok(File::from(io::stderr().as_handle().try_clone_to_owned()?))
}

/// # Errors
///
/// The process has no standard output.
pub(crate) fn copy_of_stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
}
