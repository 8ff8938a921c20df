//! Why a journal rejects a call: one enum for each question of a caller.

use std::io;
use std::path::PathBuf;

use crate::postgres::DatabaseFailure;
use crate::sqlite::DatabaseError;

/// Why a batch is not durable. Nothing of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Records that a cursor has still to pass fill the journal.
    #[error(
        "the journal holds {held_bytes} of the {max_bytes} bytes that are its part of `journal.max_bytes`{} \
         (see which exporter is behind, or raise it)",
        required_by.as_ref().map(|name| format!(", for exporter `{name}`, which is required")).unwrap_or_default()
    )]
    Full {
        held_bytes: u64,
        max_bytes: u64,
        /// The required exporter that is furthest behind.
        required_by: Option<String>,
    },
    /// The queue of an exporter is full, and its `queue.on_overflow` is `reject`.
    #[error(
        "the queue of exporter `{exporter}` is full (see why its rows are not delivered, or raise its `queue.max_bytes`)"
    )]
    QueueFull { exporter: String },
    #[error(
        "the journal's disk has {free_bytes} bytes free, and {min_free_bytes} must stay free \
         (make room on it, or lower `journal.min_free_bytes`)"
    )]
    NoSpace {
        free_bytes: u64,
        min_free_bytes: u64,
    },
    /// The batch cannot be encoded, now or later.
    #[error("the batch cannot be stored: {reason} (send smaller batches)")]
    Unfit { reason: String },
    /// The file cannot be written. The journal opens it again by itself.
    #[error("the journal cannot be written: {reason} (try again)")]
    Unavailable { reason: String },
    /// The servers that have the journal do not take it now. The journal tries again by itself.
    #[error("the journal cannot be written: {reason} (try again)")]
    Remote { reason: String },
    /// The host is stopping.
    #[error("the journal is closed (try again when the host runs)")]
    Closed,
}

/// Why a cursor was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    #[error("exporter `{exporter}` has no cursor in this journal (open one)")]
    Missing { exporter: String },
    /// The commit contradicts the journal: a bug of the caller. Nothing was written.
    #[error(
        "exporter `{exporter}`: commit rejected: {reason} (open the cursor again and continue from there)"
    )]
    Refused { exporter: String, reason: String },
    /// The file cannot be written. The journal opens it again by itself.
    #[error("the journal cannot be written: {reason} (try again)")]
    Unavailable { reason: String },
    /// The host is stopping.
    #[error("the journal is closed (try again when the host runs)")]
    Closed,
}

/// Why a read has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("the journal cannot be read: {reason} (try again)")]
    Unavailable { reason: String },
}

/// Why the journals cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot use state folder `{}` (check `state_dir`, its owner and its mode)", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("state folder `{}` is in use by process {pid} (stop it, or set another `state_dir`)", path.display())]
    InUse {
        path: PathBuf,
        /// From the lock file.
        pid: String,
    },
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The clock of a cluster, in its database.
    #[error("cannot read the clock of the cluster: {0}")]
    Clock(DatabaseFailure),
    /// A journal on Kafka. The reason has the remedy.
    #[error("cannot open journal `{journal}`: {reason}")]
    Remote {
        journal: String,
        reason: String,
        /// It may be opened later, when brokers are back that are away now.
        may_pass: bool,
    },
}

impl OpenError {
    /// Whether the same attempt may succeed later.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Folder { .. } | Self::InUse { .. } | Self::Database(_) => false,
            Self::Clock(failure) => failure.may_pass,
            Self::Remote { may_pass, .. } => *may_pass,
        }
    }
}
