//! Why the state cannot be saved, restored or checked.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::fault::Fault;
use crate::{journal::OpenError, platform::ADMINISTRATOR, sqlite::DatabaseError};

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(transparent)]
    Folder(#[from] OpenError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("cannot use `{}` (check its owner, its access rights and its disk)", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot read `{}` (run the command as {}, or as the user of the host)", path.display(), ADMINISTRATOR)]
    Rights { path: PathBuf, source: io::Error },
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
    /// The backup is whole, and its content has faults.
    #[error(
        "`{}` has faults, and was not restored (use another backup, or `--accept-faults` to restore it as it is)",
        path.display()
    )]
    Faulty { path: PathBuf, faults: Vec<Fault> },
    #[error(
        "`{}` is of delfin-host {host_version}, whose `{database}` this host cannot use: {reason} (restore it with that version)",
        path.display()
    )]
    OtherVersion {
        path: PathBuf,
        host_version: String,
        database: &'static str,
        reason: String,
    },
    #[error(
        "`{}` is left over, and this host has its state on Kafka and in the database of the cluster (start the host without \
         `cluster.kafka` until everything is delivered, and then move the file away: nothing of it is copied)",
        path.display()
    )]
    LeftOver { path: PathBuf },
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

    /// An error of reading a file that exists.
    pub(super) fn reading(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Rights { path, source },
            _ => Self::File { path, source },
        }
    }

    pub(super) fn unsound(path: &Path, reason: impl ToString) -> Self {
        Self::Unsound {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}
