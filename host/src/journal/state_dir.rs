//! The state folder: only the host's user may be able to write it.
//!
//! It holds the journals, the inventory and its key, and copies of plugins. A user who
//! can write there can replace each of them.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::error::OpenError;
use crate::platform::{FileAccess, FileReaders, create_folders, user};

/// Creates a missing folder. Checks owner and mode of an existing one.
pub(super) fn prepare(path: &Path) -> Result<(), OpenError> {
    create_and_check(path, FileAccess::is_own)
}

/// As [`prepare`], for root on behalf of the owner of an existing folder.
pub(super) fn prepare_as_root(path: &Path) -> Result<(), OpenError> {
    create_and_check(path, |_| true)
}

/// `may_own` says whether the owner of the folder may be someone else than root.
fn create_and_check(path: &Path, may_own: impl Fn(&FileAccess) -> bool) -> Result<(), OpenError> {
    let unusable = |source| OpenError::Folder {
        path: path.to_owned(),
        source,
    };
    create_folders(path, FileReaders::Owner).map_err(unusable)?;
    let access = FileAccess::of_path(path).map_err(unusable)?;
    let reason = untrusted(&access, may_own);
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
fn untrusted(access: &FileAccess, may_own: impl Fn(&FileAccess) -> bool) -> Option<String> {
    if !may_own(access) && !access.is_of_administrator() {
        return Some(format!(
            "it belongs to user {}, and the host runs as user {} (run the host as its owner, or change the owner)",
            access.owner(),
            user()
        ));
    }
    let found = access.others_write()?;
    Some(format!("other users can write it, {found}"))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{Permissions, set_permissions},
        os::unix::fs::{MetadataExt, PermissionsExt},
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
        let folder = tempfile::tempdir().unwrap();
        let access = FileAccess::of_path(folder.path()).unwrap();
        assert_eq!(untrusted(&access, FileAccess::is_own), None);
        let reason = untrusted(&access, |_| false);
        assert_eq!(reason.is_none(), access.is_of_administrator(), "{reason:?}");
    }
}
