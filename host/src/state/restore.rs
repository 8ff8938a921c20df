//! Puts a backup in the place of a state folder's content.
//!
//! The backup is extracted into a folder inside the state folder, which may be the mount point of
//! a volume. Two renames of that folder say how far the restore is, and each step between them can
//! be repeated:
//!
//! 1. `restore.partial`: being extracted. The old state counts, and the folder is removed.
//! 2. `restore.ready`: whole and checked. From here on the new state counts: the old is removed.
//! 3. `restore.moving`: the old state is gone, and the new one is moved into its place.
//!
//! A command or a host that takes the folder next goes on where the last one ended.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt, MetadataExt, chown},
    path::Path,
};

use super::{
    archive::{self, BackupManifest},
    contents::{CLOCK, DATABASES, FOLDERS, KEPT_FILES, KEY, TRANSIENT, has_state},
    error::StateError,
    progress::ProgressListener,
    workspace::{remove, sync_folder},
};
use crate::{
    journal::{self, StateLock},
    sqlite::with_suffix,
};

const PARTIAL: &str = "restore.partial";
const READY: &str = "restore.ready";
const MOVING: &str = "restore.moving";

/// Suffixes of the files of a database, and of the file that replaces a damaged one.
const SUFFIXES: [&str; 6] = ["", "-wal", "-shm", ".new", ".new-wal", ".new-shm"];

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
}

/// Restores a backup into a state folder that no host uses, and creates a missing one.
///
/// # Errors
///
/// A host uses the folder, the folder has a state and `replace` is false, or the backup is not
/// sound, or of a newer host. The old state stays.
pub fn restore(
    file: &Path,
    state_dir: &Path,
    replace: bool,
    progress: &dyn ProgressListener,
) -> Result<RestoreSummary, StateError> {
    let _lock = take(state_dir)?;
    finish(state_dir)?;
    if has_state(state_dir) && !replace {
        return Err(StateError::NotEmpty {
            path: state_dir.to_owned(),
        });
    }
    let partial = state_dir.join(PARTIAL);
    let prepared = prepare(file, state_dir, &partial, progress);
    let manifest = match prepared {
        Ok(manifest) => manifest,
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
    if !rustix::process::geteuid().is_root() || !state_dir.exists() {
        return Ok(journal::lock(state_dir)?);
    }
    let lock = StateLock::take(state_dir)?;
    hand_over(state_dir, &state_dir.join("lock"))?;
    Ok(lock)
}

/// Refuses a folder whose new state is not in its place yet.
pub(super) fn require_finished(state_dir: &Path) -> Result<(), StateError> {
    if [READY, MOVING]
        .iter()
        .any(|name| state_dir.join(name).exists())
    {
        return Err(StateError::Unfinished {
            path: state_dir.to_owned(),
        });
    }
    Ok(())
}

/// Extracts a backup, and checks that this host can use it.
fn prepare(
    file: &Path,
    state_dir: &Path,
    partial: &Path,
    progress: &dyn ProgressListener,
) -> Result<BackupManifest, StateError> {
    let created = DirBuilder::new().mode(0o700).create(partial);
    created.map_err(StateError::of_file(partial))?;
    let manifest = archive::extract(file, partial, progress)?;
    for one in DATABASES {
        let path = partial.join(one.file);
        if path.exists() {
            let (_, version) = one.database.open_reader(&path)?;
            one.database.is_older(&path, version)?;
        }
    }
    hand_over(state_dir, partial)?;
    sync_all(partial)?;
    Ok(manifest)
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
fn hand_over(state_dir: &Path, path: &Path) -> Result<(), StateError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = state_dir
        .metadata()
        .map_err(StateError::of_file(state_dir))?;
    each(path, &|path| {
        chown(path, Some(owner.uid()), Some(owner.gid()))
    })
}

/// Makes the entries of all folders durable. The files are.
fn sync_all(path: &Path) -> Result<(), StateError> {
    each(path, &|path| match path.is_dir() {
        true => fs::File::open(path)?.sync_all(),
        false => Ok(()),
    })
}

fn each(path: &Path, visit: &dyn Fn(&Path) -> std::io::Result<()>) -> Result<(), StateError> {
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(StateError::of_file(path))? {
            each(&entry.map_err(StateError::of_file(path))?.path(), visit)?;
        }
    }
    visit(path).map_err(StateError::of_file(path))
}

fn rename(from: &Path, to: &Path) -> Result<(), StateError> {
    fs::rename(from, to).map_err(StateError::of_file(from))
}
