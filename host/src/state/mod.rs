//! The state folder as a whole: backup, restore, verification, and the copy before a migration.
//!
//! A backup reads the databases of a host, running or not, under the locks of SQLite: each copy is
//! one transaction of its file. The host takes no part, so a backup needs neither the API nor a
//! token, and a key leaves the folder only by who can read it there.
//!
//! Promises: a backup appears whole or not at all. A restore leaves the old state or the new one,
//! also if it is killed. Neither changes a folder that a host uses.

mod archive;
mod backup;
mod contents;
mod error;
mod fault;
mod migration;
mod progress;
mod restore;
mod verify;
mod workspace;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use backup::{Keys, back_up};
pub use error::StateError;
pub use fault::Fault;
pub use progress::{CountingReader, ProgressListener};
pub use restore::{RestoreRequest, restore};
pub use verify::{StateReport, verify_backup, verify_folder};

use crate::journal::{self, StateLock};

/// Refuses a folder with files that this user cannot read.
///
/// # Errors
///
/// The file that cannot be read.
pub fn check_readable(state_dir: &Path) -> Result<(), StateError> {
    match contents::require_readable_state(state_dir) {
        Ok(()) | Err(StateError::Empty { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Refuses a folder with files whose content a host with its state in a database would not use.
///
/// # Errors
///
/// The file, with the remedy.
pub fn refuse_left_over(state_dir: &Path) -> Result<(), StateError> {
    let files = contents::IN_DATABASE
        .iter()
        .map(|file| state_dir.join(file));
    match files.into_iter().find(|file| file.exists()) {
        Some(path) => Err(StateError::LeftOver { path }),
        None => Ok(()),
    }
}

/// Takes a state folder for a host, and creates a missing one. Finishes a restore that was
/// interrupted. Copies the state if a database is about to be migrated.
///
/// # Errors
///
/// The folder cannot be used, another host uses it, or the copy cannot be written.
pub fn open(state_dir: &Path) -> Result<StateLock, StateError> {
    let lock = journal::lock(state_dir)?;
    if restore::finish(state_dir)? {
        log::info!(state_dir:% = state_dir.display(); "finished a restore of the state that was interrupted");
    }
    migration::copy_before(state_dir, contents::DATABASES)?;
    Ok(lock)
}
