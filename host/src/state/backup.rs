//! Writes a backup of a state folder, whose host may run.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use super::{
    archive::{self, BackupManifest},
    contents::{
        ACTIVE_ALERTS_FILE, ALERTS_FILE, CLOCK, DATABASES, FOLDERS, KEPT_FILES, KEY, StateDatabase,
        require_finished, require_readable_state,
    },
    error::StateError,
    progress::ProgressListener,
    workspace::{Workspace, remove, sync_folder},
};
use crate::{alert, clock, platform::rename};

/// How often the table of active alerts and its journal are copied, until they fit.
const ATTEMPTS: u32 = 3;

/// Whether a backup contains the key that opens the secrets of the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    Included,
    LeftOut,
}

/// What a backup contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupSummary {
    /// Bytes before compression.
    pub state_bytes: u64,
    pub file_bytes: u64,
    pub has_key: bool,
}

/// Writes the state to a new file. A host that uses the folder goes on.
///
/// # Errors
///
/// The file exists, the folder has no state, or one of them cannot be used. No file is left.
pub fn back_up(
    state_dir: &Path,
    file: &Path,
    keys: Keys,
    progress: &dyn ProgressListener,
) -> Result<BackupSummary, StateError> {
    let exists = || StateError::Exists {
        path: file.to_owned(),
    };
    if file.symlink_metadata().is_ok() {
        return Err(exists());
    }
    require_finished(state_dir)?;
    require_readable_state(state_dir)?;
    let workspace = Workspace::for_file(file)?;
    let copy = workspace.path().join("state");
    fs::create_dir(&copy).map_err(StateError::of_file(&copy))?;
    let created_ms = clock::now_ms();
    copy_state(state_dir, &copy, keys, progress)?;
    let packed = workspace.path().join("archive");
    let manifest = BackupManifest::new(created_ms, copy.join(KEY).exists());
    let manifest = archive::write(&copy, &packed, manifest, progress)?;
    let file_bytes = packed
        .metadata()
        .map_err(StateError::of_file(&packed))?
        .len();
    // Unlike a rename, a link does not replace a file that another program has made meanwhile. Not
    // every file system has links.
    let placed = match fs::hard_link(&packed, file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(exists()),
        Err(_) => rename(&packed, file),
        Ok(()) => Ok(()),
    };
    placed.map_err(StateError::of_file(file))?;
    sync_folder(folder_of(file))?;
    Ok(BackupSummary {
        state_bytes: manifest.bytes(),
        file_bytes,
        has_key: manifest.has_key,
    })
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

fn copy_state(
    state_dir: &Path,
    to: &Path,
    keys: Keys,
    progress: &dyn ProgressListener,
) -> Result<(), StateError> {
    copy_alerts(state_dir, to, progress)?;
    for database in DATABASES {
        if !to.join(database.file).exists() {
            copy_database(database, state_dir, to, progress)?;
        }
    }
    let key = (keys == Keys::Included).then_some(KEY);
    for name in KEPT_FILES.into_iter().chain([CLOCK]).chain(key) {
        copy_file(&state_dir.join(name), &to.join(name))?;
    }
    for name in FOLDERS {
        copy_folder(&state_dir.join(name), &to.join(name))?;
    }
    Ok(())
}

/// Copies the table of active alerts and the alert journal, so that the journal has every record
/// that the table does not have yet.
fn copy_alerts(
    state_dir: &Path,
    to: &Path,
    progress: &dyn ProgressListener,
) -> Result<(), StateError> {
    let [table, journal] = [ACTIVE_ALERTS_FILE, ALERTS_FILE].map(|file| to.join(file));
    let alerts =
        |database: &&StateDatabase| [ACTIVE_ALERTS_FILE, ALERTS_FILE].contains(&database.file);
    for _ in 0..ATTEMPTS {
        for database in DATABASES.iter().filter(alerts) {
            copy_database(database, state_dir, to, progress)?;
        }
        if !table.exists() || !journal.exists() {
            return Ok(());
        }
        if alert::fits_journal(&table, &journal)? {
            return Ok(());
        }
        // Records were deleted between the two copies.
        remove(&table)?;
        remove(&journal)?;
    }
    Err(StateError::Unsettled)
}

fn copy_database(
    StateDatabase { file, database }: &StateDatabase,
    state_dir: &Path,
    to: &Path,
    progress: &dyn ProgressListener,
) -> Result<(), StateError> {
    let path = state_dir.join(file);
    let Ok(metadata) = path.metadata() else {
        return Ok(());
    };
    progress.begin(&format!("copying {file}"), metadata.len());
    database.copy(&path, &to.join(file), &|bytes| progress.set(bytes))?;
    Ok(())
}

/// Copies a file that is replaced as a whole, never changed; nothing if it does not exist.
fn copy_file(from: &Path, to: &Path) -> Result<(), StateError> {
    let mut source = match crate::regular_file::open(from) {
        Ok(source) => source,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StateError::reading(from, error)),
    };
    let copied = File::create_new(to).and_then(|mut copy| {
        copy.set_permissions(source.metadata()?.permissions())?;
        io::copy(&mut source, &mut copy)
    });
    copied.map(drop).map_err(StateError::of_file(to))
}

/// Copies the regular files of a folder, which exporters may change meanwhile.
fn copy_folder(from: &Path, to: &Path) -> Result<(), StateError> {
    let files = match archive::files(from) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StateError::reading(from, error)),
    };
    for (path, _) in files {
        let target = to.join(path.strip_prefix(from).unwrap_or(&path));
        let folder = target.parent().unwrap_or(to);
        fs::create_dir_all(folder).map_err(StateError::of_file(folder))?;
        copy_file(&path, &target)?;
    }
    Ok(())
}
