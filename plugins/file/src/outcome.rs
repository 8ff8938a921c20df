//! Why a write failed, and what that means for the batch.
//!
//! Promises: an error that can pass is retried; an error that only an operator
//! can fix pauses the exporter.

use std::{
    io,
    path::{Path, PathBuf},
};

use delfin_plugin_api::Failure;

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
    #[error(
        "cannot {action} `{}`: {reason} (let the host's user write there, or name another path)",
        path.display()
    )]
    Permanent {
        action: &'static str,
        path: PathBuf,
        reason: io::Error,
    },
    #[error("cannot {action} `{}`: {reason}", path.display())]
    Transient {
        action: &'static str,
        path: PathBuf,
        reason: io::Error,
    },
}

impl WriteError {
    /// Decides by the kind of an I/O error whether it can pass on its own: a full
    /// disk can, a missing permission cannot.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |reason| {
            let path = path.to_path_buf();
            let permanent = matches!(
                reason.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::NotFound
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::IsADirectory
                    | io::ErrorKind::InvalidFilename
            );
            if permanent {
                Self::Permanent {
                    action,
                    path,
                    reason,
                }
            } else {
                Self::Transient {
                    action,
                    path,
                    reason,
                }
            }
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NotAFile { .. }
            | WriteError::Locked { .. }
            | WriteError::ForeignContent { .. }
            | WriteError::Permanent { .. } => Self::misconfigured(error),
            WriteError::Transient { .. } => Self::retry(error),
        }
    }
}
