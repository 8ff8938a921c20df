//! The tokens as the running host uses them.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use subtle::ConstantTimeEq;

use super::{
    file::{TokenEntry, TokenFile, TokenFileError},
    token,
    version::FileVersion,
};

/// The tokens of a state folder, as they are now.
#[derive(Debug)]
pub struct TokenStore {
    file: TokenFile,
    known: Mutex<KnownTokens>,
}

/// The tokens at one time.
#[derive(Debug)]
pub struct TokenSet(Arc<[TokenEntry]>);

#[derive(Debug)]
struct KnownTokens {
    version: Option<FileVersion>,
    /// `None` if the file does not exist.
    tokens: Option<Arc<[TokenEntry]>>,
}

impl TokenStore {
    /// # Errors
    ///
    /// The file exists and cannot be used.
    pub fn open(state_dir: &Path) -> Result<Self, TokenFileError> {
        let file = TokenFile::new(state_dir);
        let known = KnownTokens {
            version: FileVersion::of(file.path()).ok().flatten(),
            tokens: file.read()?.map(Arc::from),
        };
        Ok(Self {
            known: Mutex::new(known),
            file,
        })
    }

    /// The tokens as they are now; `None` if the file does not exist, so that clients need none.
    ///
    /// Asks the file system for the version of the file, which does not wait for the disk:
    /// the inode is cached. The file itself is read after a change only.
    pub fn current(&self) -> Option<TokenSet> {
        let version = FileVersion::of(self.file.path());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(version) = version
            && version != known.version
        {
            // Also after a failure, which is logged once.
            known.version = version;
            self.read_again(&mut known);
        }
        known.tokens.clone().map(TokenSet)
    }

    fn read_again(&self, known: &mut KnownTokens) {
        match self.file.read() {
            Ok(tokens) => {
                let names = tokens.iter().flatten().map(|token| token.name.as_str());
                let names: Vec<&str> = names.collect();
                log::info!(tokens = names.join(", "); "read the tokens of the API again");
                known.tokens = tokens.map(Arc::from);
            }
            Err(error) => {
                log::error!("the tokens of the API stay as they were: {error}");
            }
        }
    }
}

impl TokenSet {
    /// The token with this text.
    pub fn find(&self, text: &str) -> Option<&TokenEntry> {
        let hash = token::hash(text);
        // Compares with every token and each time completely, so that the time tells nothing.
        let mut found = None;
        for token in self.0.iter() {
            if bool::from(token.sha256.as_bytes().ct_eq(hash.as_bytes())) {
                found = Some(token);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::access::AccessScope;

    fn name(store: &TokenStore, text: &str) -> Option<String> {
        let tokens = store.current()?;
        tokens.find(text).map(|token| token.name.clone())
    }

    #[test]
    fn a_token_counts_as_soon_as_it_is_added_and_until_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let (file, store) = (
            TokenFile::new(folder.path()),
            TokenStore::open(folder.path()).unwrap(),
        );
        assert!(store.current().is_none());
        let one = file.add("one", &[AccessScope::Read]).unwrap();
        let two = file.add("two", &[AccessScope::Read]).unwrap();
        assert_eq!(name(&store, &one).as_deref(), Some("one"));
        assert_eq!(name(&store, &two).as_deref(), Some("two"));
        for other in ["", "delfin_", &one[..one.len() - 1], &one.to_uppercase()] {
            assert_eq!(name(&store, other), None, "{other}");
        }
        file.revoke("one").unwrap();
        assert_eq!(name(&store, &one), None);
        file.revoke("two").unwrap();
        assert!(store.current().is_some());
    }

    #[test]
    fn a_file_that_is_damaged_meanwhile_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::new(folder.path());
        let text = file.add("one", &[AccessScope::Read]).unwrap();
        let store = TokenStore::open(folder.path()).unwrap();
        fs::write(file.path(), "{").unwrap();
        assert_eq!(name(&store, &text).as_deref(), Some("one"));
        assert!(TokenStore::open(folder.path()).is_err());
    }
}
