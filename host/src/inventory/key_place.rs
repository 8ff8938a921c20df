//! Where the key of the inventory is, and how another one takes its place.
//!
//! Promises: after a crash at any point, one of the keys opens all secrets, and the next start
//! finds it. A key of the state folder is written under another name first. Then one transaction
//! seals everything again, and then the key gets its name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    error::{InventoryOpenError, RekeyError},
    seal::Sealer,
    sealed::SealedText,
};
use crate::platform::rename_durable;

/// Where the key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyPlace {
    /// In the state folder. The host creates it.
    State(PathBuf),
    /// In a file that only the operator changes.
    File(PathBuf),
    /// Among the credentials of the service, whose folder only the service can open.
    Credential(PathBuf),
}

impl KeyPlace {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::State(path) | Self::File(path) | Self::Credential(path) => path,
        }
    }

    /// Opens the key, also after a crash while it was replaced. Creates a missing one in the state
    /// folder, unless secrets exist that need the old one.
    pub(super) fn open(&self, texts: &[SealedText]) -> Result<Sealer, InventoryOpenError> {
        let path = match self {
            Self::File(path) => return Sealer::read(path),
            Self::Credential(path) => return Sealer::read_credential(path),
            Self::State(path) => path,
        };
        let next = next(path);
        let failed = |error| InventoryOpenError::Key {
            path: next.clone(),
            error,
        };
        if next.exists() {
            let opens = |sealer: &Sealer| texts.iter().all(|one| one.unseal(sealer).is_ok());
            let is_needed = !Sealer::read(path).is_ok_and(|sealer| opens(&sealer));
            if is_needed && opens(&Sealer::read(&next)?) {
                rename_durable(&next, path).map_err(failed)?;
                log::info!(
                    "the key of the inventory was replaced, which the host had not finished"
                );
            } else if !is_needed {
                fs::remove_file(&next).map_err(failed)?;
            }
        }
        Sealer::open(path, !texts.is_empty())
    }

    /// Has everything sealed again with another key: the one in the file, or a new one in the state folder. Returns the number of
    /// texts.
    pub(super) fn replace(
        &self,
        key_file: Option<&Path>,
        seal_again: impl FnOnce(Sealer) -> Result<usize, RekeyError>,
    ) -> Result<usize, RekeyError> {
        match (self, key_file) {
            (Self::State(path), None) => {
                let next = next(path);
                let failed = |error| InventoryOpenError::Key {
                    path: next.clone(),
                    error,
                };
                let texts = seal_again(Sealer::create(&next).map_err(failed)?)?;
                rename_durable(&next, path).map_err(failed)?;
                Ok(texts)
            }
            (Self::File(path) | Self::Credential(path), None) => {
                Err(RekeyError::KeyRequired { path: path.clone() })
            }
            (place, Some(file)) => {
                let texts = seal_again(Sealer::read(file)?)?;
                if let Self::State(path) = place
                    && let Err(error) = fs::remove_file(path)
                {
                    log::warn!(key:% = path.display(); "cannot remove the old key of the inventory: {error}");
                }
                Ok(texts)
            }
        }
    }
}

/// The name of the next key, until it takes the place of the key.
pub(super) fn next(path: &Path) -> PathBuf {
    path.with_extension("key.next")
}
