//! Why the state cannot be saved, restored or checked.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{journal::OpenError, sqlite::DatabaseError};

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(transparent)]
    Folder(#[from] OpenError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("cannot use `{}` (check its owner, its mode and its disk)", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("`{}` exists already (choose another name, or move it away)", path.display())]
    Exists { path: PathBuf },
    #[error("another command writes `{}` (wait for it, or choose another name)", path.display())]
    Busy { path: PathBuf },
    #[error("`{}` has no state of a host (set `state_dir`, or start the host once)", path.display())]
    Empty { path: PathBuf },
    #[error(
        "`{}` has the state of a host (use `--replace` to replace it, or set another `state_dir`)",
        path.display()
    )]
    NotEmpty { path: PathBuf },
    #[error(
        "the restore of `{}` was interrupted (start the host, or repeat the restore)",
        path.display()
    )]
    Unfinished { path: PathBuf },
    #[error(
        "the table of active alerts and the alert journal changed too quickly to be copied together (try again)"
    )]
    Unsettled,
    /// The file is no backup, or not a whole one.
    #[error("`{}` is not a sound backup: {reason} (use another one)", path.display())]
    Unsound { path: PathBuf, reason: String },
    #[error("cannot copy the state before its schema is migrated (make room in `{}`)", folder.display())]
    Migration {
        folder: PathBuf,
        source: Box<StateError>,
    },
}

impl StateError {
    pub(super) fn of_file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn unsound(path: &Path, reason: impl ToString) -> Self {
        Self::Unsound {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}
