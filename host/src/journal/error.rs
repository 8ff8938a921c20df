//! Why a journal could not do what it was asked.
//!
//! One enum for each question of a caller: may I answer that the batch is
//! safe, has the cursor moved, what does the journal hold, can the host start.

use std::io;
use std::path::PathBuf;

use crate::sqlite::DatabaseError;

/// Why a batch was not made durable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The records that exporters still need fill the journal.
    #[error(
        "the journal holds {held_bytes} of the {max_bytes} bytes that are its part of `journal.max_bytes`{} \
         (see which exporter is behind, or raise it)",
        required_by.as_ref().map(|name| format!(", for exporter `{name}`, which is required")).unwrap_or_default()
    )]
    Full {
        /// What the journal holds.
        held_bytes: u64,
        /// What it may hold.
        max_bytes: u64,
        /// The exporter for which all of it has to be kept, if there is one.
        required_by: Option<String>,
    },
    /// The disk is full, or nearly.
    #[error(
        "the journal's disk has {free_bytes} bytes free, and {min_free_bytes} must stay free \
         (make room on it, or lower `journal.min_free_bytes`)"
    )]
    NoSpace {
        /// What is free.
        free_bytes: u64,
        /// What must stay free.
        min_free_bytes: u64,
    },
    /// The batch cannot be a record, now or later.
    #[error("the batch cannot be kept: {reason} (send smaller batches)")]
    Unfit {
        /// What is wrong with it.
        reason: String,
    },
    /// The file could not be written; the journal opens it again by itself.
    #[error("the journal cannot be written: {reason} (try again)")]
    Unavailable {
        /// What the file system or the store said.
        reason: String,
    },
    /// The host is stopping.
    #[error("the journal is closed (try again when the host runs)")]
    Closed,
}

/// Why a cursor was not made, or did not move.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// The journal has no cursor of this name.
    #[error("exporter `{exporter}` has no cursor in this journal (open one)")]
    Missing {
        /// Who asked.
        exporter: String,
    },
    /// The commit contradicts the journal: a bug of the caller. Nothing was written.
    #[error(
        "exporter `{exporter}`: commit rejected: {reason} (open the cursor again and go on from there)"
    )]
    Refused {
        /// Whose commit it was.
        exporter: String,
        /// What does not fit.
        reason: String,
    },
    /// The file could not be written; the journal opens it again by itself.
    #[error("the journal cannot be written: {reason} (try again)")]
    Unavailable {
        /// What the file system or the store said.
        reason: String,
    },
    /// The host is stopping.
    #[error("the journal is closed (try again when the host runs)")]
    Closed,
}

/// Why the journal could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The file could not be read.
    #[error("the journal cannot be read: {reason} (try again)")]
    Unavailable {
        /// What the file system or the store said.
        reason: String,
    },
}

/// Why the journals could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder could not be made or used.
    #[error("cannot use state folder `{}` (check `state_dir`, its owner and its mode)", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another host has the folder.
    #[error("state folder `{}` is in use by process {pid} (stop it, or set another `state_dir`)", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// What the lock file says of the other host.
        pid: String,
    },
    /// A file cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}
