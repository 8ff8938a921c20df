//! Lists the plugin files in folders. It reads names, not contents.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    error::{PluginError, Reason},
    folder::EXTENSION,
};

/// The shared libraries and plugin folders in these folders, folder by folder and sorted by name, and the
/// files and folders that are refused.
///
/// A folder that is listed twice counts once. Subfolders are not searched.
#[must_use]
pub fn find(folders: &[PathBuf]) -> (Vec<PathBuf>, Vec<PluginError>) {
    let mut found = Vec::new();
    let mut refused = Vec::new();
    let mut seen = HashSet::new();
    for folder in folders {
        if let Ok(folder) = folder.canonicalize()
            && !seen.insert(folder)
        {
            continue;
        }
        match plugins(folder) {
            Err(reason) => refused.push(reason.at(folder)),
            Ok(paths) => {
                for path in paths {
                    match path_kind(&path) {
                        Ok(()) => found.push(path),
                        Err(reason) => refused.push(reason.at(path)),
                    }
                }
            }
        }
    }
    (found, refused)
}

fn plugins(folder: &Path) -> Result<Vec<PathBuf>, Reason> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Reason::FolderMissing,
        io::ErrorKind::NotADirectory => Reason::NotAFolder,
        _ => Reason::FolderUnreadable {
            error: error.to_string(),
        },
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        // Also libraries of other systems, so that a list says what they are.
        let endings = ["so", "dll", "dylib", EXTENSION].map(OsStr::new);
        if path
            .extension()
            .is_some_and(|ending| endings.contains(&ending))
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Whether a path is a plugin that is a folder, not a library.
pub(crate) fn is_folder(path: &Path) -> bool {
    path.extension() == Some(OsStr::new(EXTENSION)) && path.is_dir()
}

fn path_kind(path: &Path) -> Result<(), Reason> {
    if is_folder(path) {
        return Ok(());
    }
    file_kind(path)?;
    match path.extension() {
        Some(ending) if ending == EXTENSION => Err(Reason::NotAPluginFolder),
        _ => Ok(()),
    }
}

/// Checks that a path is a regular file, or a link to one.
pub(crate) fn file_kind(path: &Path) -> Result<(), Reason> {
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(metadata) if metadata.is_dir() => Err(Reason::Directory),
        Ok(_) => Err(Reason::NotRegular),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match path.read_link() {
            Ok(target) => Err(Reason::DanglingLink { target }),
            Err(_) => Err(Reason::Missing),
        },
        Err(error) => Err(Reason::Unreadable {
            error: error.to_string(),
        }),
    }
}
