//! Owners and access lists of files.

use std::{
    fs::{File, OpenOptions},
    io,
    os::windows::fs::OpenOptionsExt,
    path::Path,
};

use delfin_plugin_loader::platform::{Account, FileRights, icacls_removal, is_elevated};
use windows_sys::Win32::Storage::FileSystem::{FILE_FLAG_BACKUP_SEMANTICS, READ_CONTROL};

use super::super::AccessFinding;

/// A user who may do everything, as messages name it.
pub(crate) const ADMINISTRATOR: &str = "an administrator";

/// Who can use a file, by its owner and its access list.
#[derive(Clone, Debug)]
pub(crate) struct FileAccess {
    rights: FileRights,
    own: Account,
}

impl FileAccess {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        Ok(Self {
            rights: FileRights::of(file)?,
            own: Account::current()?,
        })
    }

    /// Follows links.
    pub(crate) fn of_path(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .access_mode(READ_CONTROL)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
            .open(path)?;
        Self::of(&file)
    }

    /// The owner, as messages show it.
    pub(crate) fn owner(&self) -> String {
        self.rights.owner().to_string()
    }

    /// Whether the owner is the user of this process.
    pub(crate) fn is_own(&self) -> bool {
        *self.rights.owner() == self.own
    }

    /// Whether the owner is an administrator of this machine.
    pub(crate) fn is_of_administrator(&self) -> bool {
        self.rights.owner().is_administrator()
    }

    /// That every user can write it, and the remedy; `None` if not.
    pub(crate) fn every_user_writes(&self) -> Option<AccessFinding> {
        let mut accounts = self.rights.writers();
        accounts.find(|account| account.is_every_user()).map(writes)
    }

    /// That every user can read it, and the remedy; `None` if not.
    pub(crate) fn every_user_reads(&self) -> Option<AccessFinding> {
        let mut accounts = self.rights.readers();
        accounts.find(|account| account.is_every_user()).map(reads)
    }

    /// That some other user can write it, and the remedy; `None` if not.
    pub(crate) fn others_write(&self) -> Option<AccessFinding> {
        let mut accounts = self.rights.writers();
        accounts.find(|account| self.is_other(account)).map(writes)
    }

    /// That some other user can read or write it, and the remedy; `None` if not.
    pub(crate) fn others_use(&self) -> Option<AccessFinding> {
        let mut accounts = self.rights.readers();
        let reader = accounts.find(|account| self.is_other(account)).map(reads);
        reader.or_else(|| self.others_write())
    }

    fn is_other(&self, account: &Account) -> bool {
        *account != self.own && !account.is_administrator()
    }
}

fn writes(account: &Account) -> AccessFinding {
    allows(account, "write")
}

fn reads(account: &Account) -> AccessFinding {
    allows(account, "read")
}

fn allows(account: &Account, action: &str) -> AccessFinding {
    AccessFinding {
        shown: format!("its access list lets `{account}` {action}"),
        remedy: format!("icacls FILE {}", icacls_removal(account)).into(),
    }
}

/// The user of this process, as messages show it.
pub(crate) fn user() -> String {
    Account::current().map_or_else(|_| "unknown".to_owned(), |user| user.to_string())
}

/// Whether this process may do everything, also what the owner of a file may.
pub(crate) fn is_administrator() -> bool {
    is_elevated()
}

/// Files that this process creates have the access list of their folder: nothing to do.
pub(crate) const fn keep_files_private() {}

/// Whether this user could create a file in a folder.
///
/// # Errors
///
/// No.
pub(crate) fn check_writable(folder: &Path) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
        .open(folder)
        .map(drop)
}
