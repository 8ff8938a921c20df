//! Who else could have written a plugin: its owner and mode, and its folder's.
//!
//! A plugin runs with all that the host may do. So only root and the host's own
//! user may be able to change the file, or to put another in its place.

use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Why a file could have been written by somebody else. The text goes on after
/// the plugin's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text of a reason says what it is")]
pub enum Distrust {
    #[error("belongs to user {uid} (chown it to root or to the host's user)")]
    FileOwner { uid: u32 },
    #[error("can be written by others, its mode is {mode:04o} (chmod go-w)")]
    FileMode { mode: u32 },
    #[error("is in `{}`, which belongs to user {uid} (chown it to root or to the host's user)", folder.display())]
    FolderOwner { folder: PathBuf, uid: u32 },
    #[error("is in `{}`, which others can write to, its mode is {mode:04o} (chmod go-w)", folder.display())]
    FolderMode { folder: PathBuf, mode: u32 },
    #[error("is in a folder that cannot be looked at: {error}")]
    Unknown { error: String },
}

/// Checks the opened file, the folder that holds it and, where the path is a
/// link, the folder that holds that.
pub(crate) fn check(path: &Path, file: &Metadata) -> Result<(), Distrust> {
    if !trusted_owner(file.uid()) {
        return Err(Distrust::FileOwner { uid: file.uid() });
    }
    if writable_by_others(file.mode()) {
        let mode = file.mode() & 0o7777;
        return Err(Distrust::FileMode { mode });
    }
    let target = path.canonicalize().map_err(unknown)?;
    let folders = [folder_of(path), folder_of(&target)];
    for folder in folders {
        check_folder(folder)?;
    }
    Ok(())
}

/// Checks a folder from which libraries are opened.
pub(crate) fn check_folder(folder: &Path) -> Result<(), Distrust> {
    let metadata = folder.metadata().map_err(unknown)?;
    let folder = folder.to_owned();
    let (uid, mode) = (metadata.uid(), metadata.mode());
    if !trusted_owner(uid) {
        return Err(Distrust::FolderOwner { folder, uid });
    }
    // A sticky folder keeps others from replacing a file, but not from adding one.
    if writable_by_others(mode) {
        let mode = mode & 0o7777;
        return Err(Distrust::FolderMode { folder, mode });
    }
    Ok(())
}

fn unknown(error: io::Error) -> Distrust {
    Distrust::Unknown {
        error: error.to_string(),
    }
}

fn trusted_owner(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

fn writable_by_others(mode: u32) -> bool {
    mode & 0o022 != 0
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_own_user_are_trusted_and_no_one_else() {
        let own = rustix::process::geteuid().as_raw();
        assert!(trusted_owner(0) && trusted_owner(own));
        assert!(!trusted_owner(own + 1) && !trusted_owner(u32::MAX));
    }

    #[test]
    fn group_and_others_must_not_write_whatever_else_they_may_do() {
        for mode in [0o644, 0o755, 0o555, 0o4711] {
            assert!(!writable_by_others(mode), "{mode:o}");
        }
        for mode in [0o664, 0o646, 0o1777, 0o020] {
            assert!(writable_by_others(mode), "{mode:o}");
        }
    }

    #[test]
    fn a_bare_file_name_is_in_the_current_folder() {
        assert_eq!(folder_of(Path::new("x.so")), Path::new("."));
        assert_eq!(folder_of(Path::new("/p/x.so")), Path::new("/p"));
    }
}
