//! The file with the tokens.
//!
//! Promises: a change is complete and durable, or did not happen; two commands at the same time
//! lose no token; only the owner of the state folder can read the file, also if root changes it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::scope::AccessScope;
use crate::{
    platform::{
        FileReaders, OpenRestricted, create_folders, give_to_owner_of, is_administrator,
        rename_durable,
    },
    regular_file,
    write_guard::WRITE_GUARD,
};

const VERSION: u32 = 1;

/// A token, without the token itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenEntry {
    pub name: String,
    pub scopes: Vec<AccessScope>,
    /// When it was added, in milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// In hexadecimal digits.
    pub sha256: String,
}

/// The file `tokens.json` of a state folder.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
}

/// Why tokens cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    #[error("cannot use token file `{}`: {error} (check its owner, its access rights and its disk)", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error(
        "token file `{}` is damaged: {reason} (restore it, or remove it and add the tokens again)",
        path.display()
    )]
    Damaged { path: PathBuf, reason: String },
    /// The tokens are in the database of a cluster. The reason names it, with the remedy.
    #[error("cannot use the tokens of the cluster: {reason}")]
    Database { reason: String },
    #[error("the system has no random numbers for a token")]
    Random(#[source] io::Error),
    #[error("token `{name}` exists already (revoke it, or choose another name)")]
    Exists { name: String },
    #[error("token `{name}` does not exist (`delfin-host tokens list` shows the names)")]
    Missing { name: String },
}

#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    tokens: Vec<TokenEntry>,
}

impl TokenFile {
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join("tokens.json"),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file exists, or cannot be seen.
    #[must_use]
    pub fn may_exist(&self) -> bool {
        self.path.try_exists().unwrap_or(true)
    }

    /// The tokens; `None` if the file does not exist.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is damaged.
    pub fn read(&self) -> Result<Option<Vec<TokenEntry>>, TokenFileError> {
        let text = match regular_file::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(error)),
        };
        let content = serde_json::from_slice::<Content>(&text);
        let content = content.map_err(|error| self.damaged(error.to_string()))?;
        if content.version != VERSION {
            let reason = format!("version {} is unknown", content.version);
            return Err(self.damaged(reason));
        }
        Ok(Some(content.tokens))
    }

    pub(super) fn add(&self, token: TokenEntry) -> Result<(), TokenFileError> {
        self.change(|tokens| {
            if tokens.iter().any(|other| other.name == token.name) {
                return Err(TokenFileError::Exists { name: token.name });
            }
            tokens.push(token);
            Ok(())
        })
    }

    /// The file stays when no token is left, so that the API does not become open.
    pub(super) fn revoke(&self, name: &str) -> Result<(), TokenFileError> {
        self.change(|tokens| {
            let index = tokens.iter().position(|token| token.name == name);
            let index = index.ok_or_else(|| TokenFileError::Missing {
                name: name.to_owned(),
            })?;
            tokens.remove(index);
            Ok(())
        })
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Vec<TokenEntry>) -> Result<(), TokenFileError>,
    ) -> Result<(), TokenFileError> {
        let _lock = self.lock().map_err(|error| self.failed(error))?;
        let mut tokens = self.read()?.unwrap_or_default();
        change(&mut tokens)?;
        self.replace(tokens).map_err(|error| self.failed(error))
    }

    /// Waits for other commands.
    fn lock(&self) -> io::Result<File> {
        create_folders(self.folder(), FileReaders::Owner)?;
        let lock = self.create(&self.path.with_extension("lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    fn replace(&self, tokens: Vec<TokenEntry>) -> io::Result<()> {
        let version = VERSION;
        let mut text = serde_json::to_vec_pretty(&Content { version, tokens })?;
        text.push(b'\n');
        let new = self.path.with_extension("new");
        let mut file = self.create(&new)?;
        file.set_len(0)?;
        file.write_all(&text)?;
        file.sync_all()?;
        WRITE_GUARD.check()?;
        rename_durable(&new, &self.path)
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .readable_by(FileReaders::Owner)
            .open(path)?;
        if is_administrator() {
            // Otherwise a host with a user of its own could not read what root has added.
            give_to_owner_of(self.folder(), &file)?;
        }
        Ok(file)
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    fn failed(&self, error: io::Error) -> TokenFileError {
        let path = self.path.clone();
        TokenFileError::File { path, error }
    }

    fn damaged(&self, reason: String) -> TokenFileError {
        let path = self.path.clone();
        TokenFileError::Damaged { path, reason }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt, thread};

    use super::*;
    use crate::access::{TokenPlace, token};

    fn add(file: &TokenFile, name: &str) -> Result<zeroize::Zeroizing<String>, TokenFileError> {
        TokenPlace::File(file.clone()).add(name, &[AccessScope::Read])
    }

    #[test]
    fn a_token_is_stored_as_its_hash_in_a_file_of_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::new(&folder.path().join("state"));
        assert_eq!(file.read().unwrap(), None);
        let text = add(&file, "grafana").unwrap();
        let stored = fs::read_to_string(file.path()).unwrap();
        assert!(!stored.contains(text.as_str()), "{stored}");
        assert!(stored.contains(&token::hash(&text)), "{stored}");
        assert_eq!(file.path().metadata().unwrap().mode() & 0o777, 0o600);

        let error = add(&file, "grafana").unwrap_err();
        assert!(matches!(error, TokenFileError::Exists { .. }), "{error}");
        file.revoke("grafana").unwrap();
        assert_eq!(file.read().unwrap(), Some(Vec::new()));
        let error = file.revoke("grafana").unwrap_err();
        assert!(matches!(error, TokenFileError::Missing { .. }), "{error}");
    }

    #[test]
    fn commands_at_the_same_time_lose_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::new(folder.path());
        thread::scope(|scope| {
            for number in 0..8 {
                let file = &file;
                scope.spawn(move || add(file, &number.to_string()).unwrap());
            }
        });
        assert_eq!(file.read().unwrap().unwrap().len(), 8);
    }

    #[test]
    fn a_damaged_file_is_named_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::new(folder.path());
        fs::write(file.path(), "{").unwrap();
        let error = add(&file, "a").unwrap_err();
        assert!(matches!(error, TokenFileError::Damaged { .. }), "{error}");
        fs::write(file.path(), r#"{"version":2,"tokens":[]}"#).unwrap();
        let error = file.read().unwrap_err().to_string();
        assert!(error.contains("version 2 is unknown"), "{error}");
    }
}
