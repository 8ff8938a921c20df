//! Seals access data: it can be read only with the key, and a change or a swap between
//! storages is detected.
//!
//! XChaCha20-Poly1305 with a random nonce per sealing; the storage's id is the associated
//! data. The key is created on first use, readable by the host's user only.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use rand::{TryRngCore, rngs::OsRng};
use zeroize::Zeroizing;

use super::error::InventoryOpenError;
use crate::{
    platform::{FileAccess, create_private_file, rename_durable},
    regular_file,
};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Seals and unseals with one key.
#[derive(Clone)]
pub(super) struct Sealer(XChaCha20Poly1305);

/// Who may be able to read a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyReaders {
    Owner,
    /// Every user who can open the folder: only the service can. Its access list looks like
    /// permissions of a group.
    Service,
}

/// The sealed text was changed, has another key, or has another owner.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnsealError;

impl Sealer {
    /// Reads the key. Creates a missing key, unless `has_sealed` says that texts exist that
    /// need the old one.
    pub(super) fn open(path: &Path, has_sealed: bool) -> Result<Self, InventoryOpenError> {
        let failed = |error| InventoryOpenError::Key {
            path: path.to_path_buf(),
            error,
        };
        let key = match regular_file::open(path) {
            Ok(file) => read(file, path, KeyReaders::Owner)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound && has_sealed => {
                let path = path.to_path_buf();
                return Err(InventoryOpenError::KeyMissing { path });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path).map_err(failed)?
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Self::new(&key))
    }

    /// Reads a key that the operator provides.
    pub(super) fn read(path: &Path) -> Result<Self, InventoryOpenError> {
        Self::read_for(path, KeyReaders::Owner)
    }

    /// Reads a key from the credentials of the service.
    pub(super) fn read_credential(path: &Path) -> Result<Self, InventoryOpenError> {
        Self::read_for(path, KeyReaders::Service)
    }

    /// Creates a key, and replaces an existing one.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        create(path).map(|key| Self::new(&key))
    }

    fn read_for(path: &Path, readers: KeyReaders) -> Result<Self, InventoryOpenError> {
        let file = regular_file::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => InventoryOpenError::KeyMissing {
                path: path.to_path_buf(),
            },
            _ => InventoryOpenError::Key {
                path: path.to_path_buf(),
                error,
            },
        })?;
        Ok(Self::new(&*read(file, path, readers)?))
    }

    fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(XChaCha20Poly1305::new(key.into()))
    }

    /// Seals a text for an owner. The nonce is in front of the result.
    pub(super) fn seal(&self, owner: &[u8], text: &[u8]) -> io::Result<Vec<u8>> {
        let mut sealed = vec![0; NONCE_BYTES];
        OsRng
            .try_fill_bytes(&mut sealed)
            .map_err(io::Error::other)?;
        let payload = Payload {
            msg: text,
            aad: owner,
        };
        let nonce = nonce(&sealed).ok_or_else(|| io::Error::other("the nonce is too short"))?;
        let text = self.0.encrypt(&nonce, payload);
        sealed.extend(text.map_err(|_| io::Error::other("the text is too long to be sealed"))?);
        Ok(sealed)
    }

    /// Unseals a text of an owner.
    pub(super) fn unseal(
        &self,
        owner: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let (head, text) = sealed.split_at_checked(NONCE_BYTES).ok_or(UnsealError)?;
        let nonce = nonce(head).ok_or(UnsealError)?;
        let payload = Payload {
            msg: text,
            aad: owner,
        };
        let text = self.0.decrypt(&nonce, payload);
        text.map(Zeroizing::new).map_err(|_| UnsealError)
    }
}

fn nonce(bytes: &[u8]) -> Option<XNonce> {
    let bytes: [u8; NONCE_BYTES] = bytes.try_into().ok()?;
    Some(bytes.into())
}

fn read(
    mut file: File,
    path: &Path,
    readers: KeyReaders,
) -> Result<Zeroizing<[u8; KEY_BYTES]>, InventoryOpenError> {
    let failed = |error| InventoryOpenError::Key {
        path: path.to_path_buf(),
        error,
    };
    let unfit = |reason| InventoryOpenError::KeyUnfit {
        path: path.to_path_buf(),
        reason,
    };
    let metadata = file.metadata().map_err(failed)?;
    let access = FileAccess::of(&file).map_err(failed)?;
    if let (KeyReaders::Owner, Some(found)) = (readers, access.others_use()) {
        let reason = format!("users other than its owner may read it, {found}");
        return Err(unfit(reason));
    }
    if metadata.len() != KEY_BYTES as u64 {
        return Err(unfit(
            "it is not 32 bytes long (restore the original key)".to_owned(),
        ));
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    file.read_exact(&mut *key).map_err(failed)?;
    Ok(key)
}

/// Creates the key. It becomes visible under its name only when it is durable: a crash
/// leaves no partial key.
fn create(path: &Path) -> io::Result<Zeroizing<[u8; KEY_BYTES]>> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    OsRng.try_fill_bytes(&mut *key).map_err(io::Error::other)?;
    let mut new = PathBuf::from(path);
    new.set_extension("key.new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = create_private_file(&new)?;
    file.write_all(&*key)?;
    file.sync_all()?;
    rename_durable(&new, path)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn sealer(folder: &tempfile::TempDir) -> Sealer {
        Sealer::open(&folder.path().join("inventory.key"), false).unwrap()
    }

    #[test]
    fn a_sealed_text_opens_for_its_owner_only_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = sealer(&folder).seal(b"one", b"hunter2").unwrap();
        assert!(!sealed.windows(7).any(|part| part == b"hunter2"));
        let again = sealer(&folder);
        assert_eq!(*again.unseal(b"one", &sealed).unwrap(), b"hunter2");
        assert_eq!(again.unseal(b"two", &sealed), Err(UnsealError));
        let mut changed = sealed.clone();
        changed[NONCE_BYTES] ^= 1;
        assert_eq!(again.unseal(b"one", &changed), Err(UnsealError));
        assert_eq!(again.unseal(b"one", &sealed[..10]), Err(UnsealError));
        assert_ne!(again.seal(b"one", b"hunter2").unwrap(), sealed);
    }

    #[test]
    fn another_key_opens_nothing() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [one, two] = folders.each_ref().map(sealer);
        let sealed = one.seal(b"id", b"hunter2").unwrap();
        assert_eq!(two.unseal(b"id", &sealed), Err(UnsealError));
    }

    #[test]
    fn only_the_owner_may_read_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inventory.key");
        sealer(&folder);
        let mut mode = std::fs::metadata(&path).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        mode.set_mode(0o640);
        std::fs::set_permissions(&path, mode).unwrap();
        let error = Sealer::open(&path, false).err().unwrap().to_string();
        assert!(error.ends_with("(set its mode to 0600)"), "{error}");
    }

    #[test]
    fn a_missing_key_is_not_created_again_if_texts_are_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inventory.key");
        let error = Sealer::open(&path, true).err().unwrap().to_string();
        assert_eq!(
            error,
            format!(
                "key `{}` is missing, and without it the access data of storages cannot be opened \
                 (restore it; to do without it, move `inventory.db` away and register the storages again)",
                path.display()
            )
        );
        assert!(!path.exists());
    }
}
