//! The copy before a migration: with it, the host from before goes on after a failed upgrade.
//!
//! It is a backup of the whole state, because a single old database does not fit to the others.
//! It has no key: the key stays in the state folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    backup::{Keys, back_up},
    contents::StateDatabase,
    error::StateError,
    progress::NoListener,
    workspace::remove,
};
use crate::{
    clock,
    platform::{FileReaders, create_folder},
};

/// The folder of the copies, in the state folder.
const FOLDER: &str = "migration-copies";
const SUFFIX: &str = ".tar.zst";
/// Copies that are kept, the newest ones.
pub(super) const KEPT_COPIES: usize = 2;

/// Copies the state if one of the databases has an older schema version. Returns the copy.
pub(super) fn copy_before(
    state_dir: &Path,
    databases: &[StateDatabase],
) -> Result<Option<PathBuf>, StateError> {
    let mut older = Vec::new();
    for StateDatabase { file, database } in databases {
        let path = state_dir.join(file);
        // What is damaged or foreign is handled, and reported, by who opens it.
        let Ok((_, found)) = database.open_reader(&path) else {
            continue;
        };
        if database.is_older(&path, found).unwrap_or(false) {
            older.push(format!("{file} {found} -> {}", database.version));
        }
    }
    if older.is_empty() {
        return Ok(None);
    }
    let folder = state_dir.join(FOLDER);
    let copied = copy(state_dir, &folder);
    let copy = copied.map_err(|source| StateError::Migration {
        folder,
        source: Box::new(source),
    })?;
    log::info!(copy:% = copy.display(), kept = KEPT_COPIES, migrations = older.join(", "); "copied the state before its schema is migrated (an older host restores the copy with `delfin-host state restore`)");
    Ok(Some(copy))
}

fn copy(state_dir: &Path, folder: &Path) -> Result<PathBuf, StateError> {
    match create_folder(folder, FileReaders::Owner) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(StateError::of_file(folder)(error));
        }
        Ok(()) | Err(_) => {}
    }
    let time = clock::rfc3339(clock::now_ms()).replace(':', "-");
    let copy = folder.join(format!("{time}{SUFFIX}"));
    back_up(state_dir, &copy, Keys::LeftOut, &NoListener)?;
    remove_oldest(folder)?;
    Ok(copy)
}

/// Removes copies beyond those that are kept, and unfinished ones.
fn remove_oldest(folder: &Path) -> Result<(), StateError> {
    let failed = |error| StateError::of_file(folder)(error);
    let entries = fs::read_dir(folder).map_err(failed)?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names = names.collect::<io::Result<Vec<_>>>().map_err(failed)?;
    let (unfinished, mut copies): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| name.starts_with('.'));
    copies.retain(|name| name.ends_with(SUFFIX));
    // The names begin with the time.
    copies.sort_unstable();
    copies.truncate(copies.len().saturating_sub(KEPT_COPIES));
    for name in copies.iter().chain(&unfinished) {
        remove(&folder.join(name))?;
    }
    Ok(())
}
