//! Why a write failed, and what that means for the batch.
//!
//! Promises: an error that can pass is retried; an error that only an operator
//! can fix pauses the exporter.

use std::{
    io,
    path::{Path, PathBuf},
};

use delfin_plugin_api::{Failure, files::FileError};

/// Why lines cannot be appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("`{}` is {found}, not a regular file (name another path)", path.display())]
    NotAFile { path: PathBuf, found: &'static str },
    /// The lock on the file is held, by an exporter of this host or of another one.
    #[error("`{}` is written by another exporter (give each a path of its own)", path.display())]
    Locked { path: PathBuf },
    /// No exporter wrote what follows the last newline.
    #[error(
        "the last line of `{}` is incomplete and was not written by an exporter \
         (name another path, or end the line)",
        path.display()
    )]
    ForeignContent { path: PathBuf },
    #[error(transparent)]
    Io(#[from] FileError),
}

impl WriteError {
    /// An error of the system.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |reason| FileError::io(action, path)(reason).into()
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NotAFile { .. }
            | WriteError::Locked { .. }
            | WriteError::ForeignContent { .. } => Self::misconfigured(error),
            WriteError::Io(error) => error.failure(),
        }
    }
}
