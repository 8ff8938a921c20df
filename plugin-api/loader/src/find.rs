//! Looks for plugin files in folders. Reads names only.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use crate::refusal::{Reason, Refusal};

/// The shared libraries in these folders, folder by folder in the order given
/// and sorted by name, and what stood in the way of finding more.
///
/// A folder that is named twice counts once. Sub-folders are not searched.
#[must_use]
pub fn find(folders: &[PathBuf]) -> (Vec<PathBuf>, Vec<Refusal>) {
    let mut found = Vec::new();
    let mut refused = Vec::new();
    let mut seen = HashSet::new();
    for folder in folders {
        if let Ok(folder) = folder.canonicalize()
            && !seen.insert(folder)
        {
            continue;
        }
        match libraries(folder) {
            Err(reason) => refused.push(reason.of(folder)),
            Ok(paths) => {
                for path in paths {
                    match file_kind(&path) {
                        Ok(()) => found.push(path),
                        Err(reason) => refused.push(reason.of(path)),
                    }
                }
            }
        }
    }
    (found, refused)
}

fn libraries(folder: &Path) -> Result<Vec<PathBuf>, Reason> {
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
        if path.extension() == Some(OsStr::new(std::env::consts::DLL_EXTENSION)) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Whether a regular file is there, be it through a link.
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
