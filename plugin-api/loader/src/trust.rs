//! The trust check: refuses a plugin file that other users can write.
//!
//! A plugin runs with the permissions of the host. So only root and the host's user
//! may be able to change the file or to replace it: the check looks at owner and mode
//! of the file and of its folder.

use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Why another user could have written a file. The text continues after the path of
/// the plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text of a reason says what it is")]
pub enum UntrustedFile {
    #[error("belongs to user {uid} (chown it to root or to the host's user)")]
    FileOwner { uid: u32 },
    #[error("can be written by others, its mode is {mode:04o} (chmod go-w)")]
    FileMode { mode: u32 },
    #[error("is in `{}`, which belongs to user {uid} (chown it to root or to the host's user)", folder.display())]
    FolderOwner { folder: PathBuf, uid: u32 },
    #[error("is in `{}`, which others can write to, its mode is {mode:04o} (chmod go-w)", folder.display())]
    FolderMode { folder: PathBuf, mode: u32 },
    #[error("is in a folder that cannot be read: {error}")]
    Unknown { error: String },
}

/// Checks the open file and its folder. If the path is a link, it checks the folder of
/// the link and that of its target: a user who can write to either can replace the file.
pub(crate) fn check(path: &Path, file: &Metadata) -> Result<(), UntrustedFile> {
    if !trusted_owner(file.uid()) {
        return Err(UntrustedFile::FileOwner { uid: file.uid() });
    }
    if writable_by_others(file.mode()) {
        let mode = file.mode() & 0o7777;
        return Err(UntrustedFile::FileMode { mode });
    }
    let target = path.canonicalize().map_err(unknown)?;
    let folders = [folder_of(path), folder_of(&target)];
    for folder in folders {
        check_folder(folder)?;
    }
    Ok(())
}

/// Checks a folder from which libraries are opened.
pub(crate) fn check_folder(folder: &Path) -> Result<(), UntrustedFile> {
    let metadata = folder.metadata().map_err(unknown)?;
    let folder = folder.to_owned();
    let (uid, mode) = (metadata.uid(), metadata.mode());
    if !trusted_owner(uid) {
        return Err(UntrustedFile::FolderOwner { folder, uid });
    }
    // The sticky bit is no excuse: it stops other users from replacing a file, but not
    // from adding one.
    if writable_by_others(mode) {
        let mode = mode & 0o7777;
        return Err(UntrustedFile::FolderMode { folder, mode });
    }
    Ok(())
}

fn unknown(error: io::Error) -> UntrustedFile {
    UntrustedFile::Unknown {
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
    fn only_root_and_the_own_user_are_trusted() {
        let own = rustix::process::geteuid().as_raw();
        assert!(trusted_owner(0) && trusted_owner(own));
        assert!(!trusted_owner(own + 1) && !trusted_owner(u32::MAX));
    }

    #[test]
    fn a_mode_is_refused_only_if_group_or_others_can_write() {
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
