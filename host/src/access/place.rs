//! Where tokens are, for the commands that change them.

use zeroize::Zeroizing;

use super::{
    database::{StoredTokens, TokenDatabase},
    file::{TokenEntry, TokenFile, TokenFileError},
    scope::AccessScope,
    token,
};
use crate::clock;

/// The tokens of a host, or of a cluster. Calls block on the disk or on the database.
#[derive(Clone, Debug)]
pub enum TokenPlace {
    File(TokenFile),
    Database(TokenDatabase),
}

impl TokenPlace {
    /// The tokens; `None` if there was never one.
    ///
    /// # Errors
    ///
    /// They cannot be read, or are damaged.
    pub fn read(&self) -> Result<StoredTokens, TokenFileError> {
        match self {
            Self::File(file) => file.read(),
            Self::Database(database) => database.read(),
        }
    }

    /// Adds a token. Returns its text, which nothing else keeps.
    ///
    /// # Errors
    ///
    /// The name exists, or the tokens cannot be changed.
    pub fn add(
        &self,
        name: &str,
        scopes: &[AccessScope],
    ) -> Result<Zeroizing<String>, TokenFileError> {
        let text = token::generate().map_err(TokenFileError::Random)?;
        let entry = TokenEntry {
            name: name.to_owned(),
            scopes: scopes.to_vec(),
            created_ms: clock::now_ms(),
            sha256: token::hash(&text),
        };
        match self {
            Self::File(file) => file.add(entry)?,
            Self::Database(database) => database.add(&entry)?,
        }
        Ok(text)
    }

    /// Removes a token. The API does not become open when no token is left.
    ///
    /// # Errors
    ///
    /// The name does not exist, or the tokens cannot be changed.
    pub fn revoke(&self, name: &str) -> Result<(), TokenFileError> {
        match self {
            Self::File(file) => file.revoke(name),
            Self::Database(database) => database.revoke(name),
        }
    }
}
