//! Owners and modes of files.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use rustix::fs::{Access, Mode, access};

use super::super::AccessFinding;

/// The user who may do everything, as messages name it.
pub(crate) const ADMINISTRATOR: &str = "root";

/// Who can use a file, by its owner and its mode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileAccess {
    owner: u32,
    mode: u32,
}

impl FileAccess {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }

    /// Follows links.
    pub(crate) fn of_path(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&path.metadata()?))
    }

    /// The owner, as messages show it.
    pub(crate) fn owner(&self) -> String {
        self.owner.to_string()
    }

    /// Whether the owner is the user of this process.
    pub(crate) fn is_own(&self) -> bool {
        self.owner == own()
    }

    /// Whether the owner is an administrator of this machine.
    pub(crate) const fn is_of_administrator(&self) -> bool {
        self.owner == 0
    }

    /// That every user can write it, and the remedy; `None` if not.
    pub(crate) fn every_user_writes(&self) -> Option<AccessFinding> {
        self.find(0o002, "chmod o-w")
    }

    /// That every user can read it, and the remedy; `None` if not.
    pub(crate) fn every_user_reads(&self) -> Option<AccessFinding> {
        self.find(0o004, "chmod o-r")
    }

    /// That some other user can write it, and the remedy; `None` if not.
    pub(crate) fn others_write(&self) -> Option<AccessFinding> {
        self.find(0o022, "chmod go-w")
    }

    /// That some other user can read or write it, and the remedy; `None` if not.
    pub(crate) fn others_use(&self) -> Option<AccessFinding> {
        self.find(0o077, "set its mode to 0600")
    }

    fn find(&self, bits: u32, remedy: &'static str) -> Option<AccessFinding> {
        (self.mode & bits != 0).then(|| AccessFinding {
            shown: format!("its mode is {:04o}", self.mode),
            remedy: remedy.into(),
        })
    }
}

impl From<&Metadata> for FileAccess {
    fn from(metadata: &Metadata) -> Self {
        Self {
            owner: metadata.uid(),
            mode: metadata.mode() & 0o7777,
        }
    }
}

/// The user of this process, as messages show it.
pub(crate) fn user() -> String {
    own().to_string()
}

/// Whether this process may do everything, also what the owner of a file may.
pub(crate) fn is_administrator() -> bool {
    rustix::process::geteuid().is_root()
}

/// Makes files that this process and those that it starts create unreadable for other users.
pub(crate) fn keep_files_private() {
    rustix::process::umask(Mode::from_raw_mode(0o027));
}

/// Whether this user could create a file in a folder.
///
/// # Errors
///
/// No.
pub(crate) fn check_writable(folder: &Path) -> io::Result<()> {
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_right_of_others_is_found_with_its_remedy() {
        let access = |mode| FileAccess { owner: 7, mode };
        let remedies = |mode| {
            let access = access(mode);
            let found = [
                access.every_user_writes(),
                access.every_user_reads(),
                access.others_write(),
                access.others_use(),
            ];
            found.map(|found| found.map_or_else(String::new, |found| found.remedy.into_owned()))
        };
        let all = "set its mode to 0600";
        assert_eq!(remedies(0o700), [""; 4]);
        assert_eq!(remedies(0o640), ["", "", "", all]);
        assert_eq!(remedies(0o660), ["", "", "chmod go-w", all]);
        assert_eq!(remedies(0o604), ["", "chmod o-r", "", all]);
        let shown = access(0o1777).every_user_writes().unwrap();
        assert_eq!(
            (&*shown.shown, &*shown.remedy),
            ("its mode is 1777", "chmod o-w")
        );
    }

    #[test]
    fn the_owner_of_a_file_is_known() {
        let file = tempfile::tempfile().unwrap();
        let access = FileAccess::of(&file).unwrap();
        assert!(access.is_own());
        assert_eq!(access.owner(), user());
        assert_eq!(access.is_of_administrator(), is_administrator());
    }
}
