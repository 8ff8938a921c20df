//! The state folder: only the host's user may be able to write it.
//!
//! It holds the journals, the inventory and its key, and copies of plugins. A user who
//! can write there can replace each of them.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use super::error::OpenError;

/// Creates a missing folder. Checks owner and mode of an existing one.
pub(super) fn prepare(path: &Path) -> Result<(), OpenError> {
    create_and_check(path, |_| rustix::process::geteuid().as_raw())
}

/// As [`prepare`], for root on behalf of the owner of an existing folder.
pub(super) fn prepare_as_root(path: &Path) -> Result<(), OpenError> {
    create_and_check(path, |owner| owner)
}

/// `user` gets the owner of the folder, and returns who may own it besides root.
fn create_and_check(path: &Path, user: impl FnOnce(u32) -> u32) -> Result<(), OpenError> {
    let unusable = |source| OpenError::Folder {
        path: path.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(unusable)?;
    let metadata = path.metadata().map_err(unusable)?;
    let own = user(metadata.uid());
    let reason = untrusted(metadata.uid(), metadata.mode(), own);
    reason.map_or(Ok(()), |reason| Err(unusable(io::Error::other(reason))))
}

/// Logs the journals that do not exist although the folder has other databases. Nothing else
/// tells that from the first start.
pub(super) fn report_missing(path: &Path, journals: &[&str]) -> io::Result<()> {
    let files = std::fs::read_dir(path)?.map(|file| Ok(file?.path()));
    let files = files.collect::<io::Result<Vec<PathBuf>>>()?;
    let is_used = files
        .iter()
        .any(|file| file.extension().is_some_and(|extension| extension == "db"));
    for journal in journals.iter().map(|name| path.join(format!("{name}.db"))) {
        if is_used && !files.contains(&journal) {
            log::error!(journal:% = journal.display(); "journal file is missing although the state folder was used before: its pending items are lost");
        }
    }
    Ok(())
}

/// Why another user could have written the folder.
fn untrusted(owner: u32, mode: u32, own: u32) -> Option<String> {
    if owner != own && owner != 0 {
        return Some(format!(
            "it belongs to user {owner}, and the host runs as user {own} (run the host as its owner, or chown it)"
        ));
    }
    let mode = mode & 0o7777;
    (mode & 0o022 != 0)
        .then(|| format!("other users can write it, its mode is {mode:04o} (chmod go-w)"))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{Permissions, set_permissions},
        os::unix::fs::PermissionsExt,
    };

    use super::*;

    #[test]
    fn a_new_folder_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let state_dir = folder.path().join("made").join("state");
        prepare(&state_dir).unwrap();
        let mode = state_dir.metadata().unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
        prepare(&state_dir).unwrap();
        prepare_as_root(&state_dir).unwrap();
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        for prepare in [prepare, prepare_as_root] {
            let OpenError::Folder { source, .. } = prepare(folder.path()).unwrap_err() else {
                panic!("another error");
            };
            assert_eq!(
                source.to_string(),
                "other users can write it, its mode is 0777 (chmod go-w)"
            );
        }
    }

    #[test]
    fn only_a_folder_of_root_or_of_the_own_user_is_accepted() {
        assert_eq!(untrusted(0, 0o755, 7), None);
        assert_eq!(untrusted(7, 0o700, 7), None);
        for own in [0, 7] {
            let reason = untrusted(8, 0o700, own).unwrap();
            assert!(reason.starts_with("it belongs to user 8"), "{reason}");
        }
    }
}
