//! Puts a backup in the place of a state folder's content.
//!
//! The backup is extracted into a folder inside the state folder, which may be the mount point of
//! a volume. Two renames of that folder say how far the restore is, and each step between them can
//! be repeated:
//!
//! 1. `restore.partial`: being extracted. The old state counts, and the folder is removed.
//! 2. `restore.ready`: whole and verified. From here on the new state counts: the old is removed.
//! 3. `restore.moving`: the old state is gone, and the new one is moved into its place.
//!
//! A command or a host that takes the folder next goes on where the last one ended.

use std::{fs, path::Path};

use super::{
    archive::{self, BackupManifest},
    contents::{
        CLOCK, DATABASES, FOLDERS, KEPT_FILES, KEY, MOVING, READY, StateDatabase, TRANSIENT,
        has_state,
    },
    error::StateError,
    fault::Fault,
    progress::ProgressListener,
    verify::verify_extracted,
    workspace::{remove, sync_folder},
};
use crate::{
    journal::{self, StateLock},
    platform::{self, FileReaders, create_folder, give_tree_to_owner_of, is_administrator},
    sqlite::{DatabaseError, with_suffix},
};

const PARTIAL: &str = "restore.partial";

/// Suffixes of the files of a database, and of the file that replaces a damaged one.
const SUFFIXES: [&str; 6] = ["", "-wal", "-shm", ".new", ".new-wal", ".new-shm"];

/// What to restore, and where.
#[derive(Clone, Copy, Debug)]
pub struct RestoreRequest<'a> {
    pub file: &'a Path,
    pub state_dir: &'a Path,
    /// The key of the inventory of the folder, wherever it is.
    pub key: &'a Path,
    /// Whether a state of the folder is replaced.
    pub replace: bool,
    /// Whether a backup with faults is restored.
    pub accept_faults: bool,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreSummary {
    /// In milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// The version of the host whose command wrote the backup.
    pub host_version: String,
    pub bytes: u64,
    /// Whether the folder has the key of the inventory now.
    pub has_key: bool,
    /// What is wrong in the restored state.
    pub faults: Vec<Fault>,
}

/// Restores a backup into a state folder that no host uses, and creates a missing one.
///
/// # Errors
///
/// A host uses the folder, the folder has a state and `replace` is false, or the backup is of
/// another version, not sound, or has faults that are not accepted. The old state stays.
pub fn restore(
    request: RestoreRequest<'_>,
    progress: &dyn ProgressListener,
) -> Result<RestoreSummary, StateError> {
    let RestoreRequest {
        state_dir, replace, ..
    } = request;
    let _lock = take(state_dir)?;
    // A restore that was interrupted is repeated with the same command. No host has used its state.
    let is_repeated = finish(state_dir)?;
    if has_state(state_dir)? && !replace && !is_repeated {
        return Err(StateError::NotEmpty {
            path: state_dir.to_owned(),
        });
    }
    let partial = state_dir.join(PARTIAL);
    let prepared = prepare(&request, &partial, progress);
    let (manifest, faults) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            remove(&partial)?;
            return Err(error);
        }
    };
    rename(&partial, &state_dir.join(READY))?;
    sync_folder(state_dir)?;
    finish(state_dir)?;
    Ok(RestoreSummary {
        created_ms: manifest.created_ms,
        bytes: manifest.bytes(),
        has_key: state_dir.join(KEY).exists(),
        host_version: manifest.host_version,
        faults,
    })
}

/// Finishes a restore that was interrupted, or removes what it has left. Returns whether the state
/// has changed.
pub(super) fn finish(state_dir: &Path) -> Result<bool, StateError> {
    remove(&state_dir.join(PARTIAL))?;
    let [ready, moving] = [READY, MOVING].map(|name| state_dir.join(name));
    if ready.exists() {
        remove_old(state_dir, &ready)?;
        sync_folder(state_dir)?;
        rename(&ready, &moving)?;
        sync_folder(state_dir)?;
    }
    if !moving.exists() {
        return Ok(false);
    }
    let failed = |error| StateError::of_file(&moving)(error);
    for entry in fs::read_dir(&moving).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        rename(&entry.path(), &state_dir.join(entry.file_name()))?;
    }
    sync_folder(state_dir)?;
    remove(&moving)?;
    sync_folder(state_dir)?;
    Ok(true)
}

/// Takes the state folder. Root may restore the state of another user.
fn take(state_dir: &Path) -> Result<StateLock, StateError> {
    if !is_administrator() || !state_dir.exists() {
        return Ok(journal::lock(state_dir)?);
    }
    Ok(journal::lock_as_root(state_dir)?)
}

/// Extracts a backup and verifies it. Returns its manifest, and the faults that are accepted.
fn prepare(
    request: &RestoreRequest<'_>,
    partial: &Path,
    progress: &dyn ProgressListener,
) -> Result<(BackupManifest, Vec<Fault>), StateError> {
    let RestoreRequest {
        file, state_dir, ..
    } = *request;
    let created = create_folder(partial, FileReaders::Owner);
    created.map_err(StateError::of_file(partial))?;
    let manifest = archive::extract(file, partial, progress)?;
    require_version(file, partial, &manifest)?;
    let archived_key = partial.join(KEY);
    let key = match request.key == state_dir.join(KEY) && archived_key.exists() {
        true => &archived_key,
        false => request.key,
    };
    let faults = verify_extracted(partial, key, progress)?.faults;
    if !faults.is_empty() && !request.accept_faults {
        return Err(StateError::Faulty {
            path: file.to_owned(),
            faults,
        });
    }
    hand_over(state_dir, partial)?;
    sync_all(partial)?;
    Ok((manifest, faults))
}

/// Refuses databases of another schema version, also if faults are accepted: no host of this version
/// can read them.
fn require_version(
    file: &Path,
    partial: &Path,
    manifest: &BackupManifest,
) -> Result<(), StateError> {
    for StateDatabase {
        file: name,
        database,
    } in DATABASES
    {
        let path = partial.join(name);
        let opened = database.open_reader(&path);
        let usable = opened.and_then(|(_, version)| database.is_older(&path, version));
        let reason = match usable {
            Err(DatabaseError::Version { found, wanted, .. }) => {
                format!("it has schema version {found}, this host needs {wanted}")
            }
            Ok(_) | Err(_) => continue,
        };
        return Err(StateError::OtherVersion {
            path: file.to_owned(),
            host_version: manifest.host_version.clone(),
            database: name,
            reason,
        });
    }
    Ok(())
}

/// Removes the old state. What stays is removed from the new one.
fn remove_old(state_dir: &Path, ready: &Path) -> Result<(), StateError> {
    for name in KEPT_FILES {
        if state_dir.join(name).symlink_metadata().is_ok() {
            remove(&ready.join(name))?;
        }
    }
    for name in DATABASES.iter().map(|database| database.file) {
        for suffix in SUFFIXES {
            remove(&with_suffix(&state_dir.join(name), suffix))?;
        }
    }
    if ready.join(KEY).exists() {
        remove(&state_dir.join(KEY))?;
    }
    for name in FOLDERS.into_iter().chain(TRANSIENT).chain([CLOCK]) {
        remove(&state_dir.join(name))?;
    }
    Ok(())
}

/// Gives what root has extracted to the owner of the state folder.
fn hand_over(state_dir: &Path, partial: &Path) -> Result<(), StateError> {
    if !is_administrator() {
        return Ok(());
    }
    give_tree_to_owner_of(state_dir, partial).map_err(StateError::of_file(partial))
}

/// Makes the entries of all folders durable. The files are.
fn sync_all(path: &Path) -> Result<(), StateError> {
    for entry in fs::read_dir(path).map_err(StateError::of_file(path))? {
        let entry = entry.map_err(StateError::of_file(path))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sync_all(&entry.path())?;
        }
    }
    sync_folder(path)
}

fn rename(from: &Path, to: &Path) -> Result<(), StateError> {
    platform::rename(from, to).map_err(StateError::of_file(from))
}
