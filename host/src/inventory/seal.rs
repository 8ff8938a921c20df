//! Sealing: what is written can be read with the key alone, and not be changed
//! or given to another storage unnoticed.
//!
//! XChaCha20-Poly1305 with a random nonce for each sealing. The key is made on
//! first use and is for the host's user alone.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use rand::{TryRngCore, rngs::OsRng};
use zeroize::Zeroizing;

use super::error::InventoryOpenError;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Seals and opens with one key.
pub(super) struct Sealer(XChaCha20Poly1305);

/// What was sealed was changed, or with another key, or is of somebody else.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unopened;

impl Sealer {
    /// Reads the key. Without one it is made, unless something was sealed before.
    pub(super) fn open(path: &Path, has_sealed: bool) -> Result<Self, InventoryOpenError> {
        let failed = |source| InventoryOpenError::Key {
            path: path.to_path_buf(),
            source,
        };
        let key = match File::open(path) {
            Ok(file) => read(file, path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound && has_sealed => {
                let path = path.to_path_buf();
                return Err(InventoryOpenError::KeyMissing { path });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(path).map_err(failed)?,
            Err(error) => return Err(failed(error)),
        };
        Ok(Self(XChaCha20Poly1305::new((&*key).into())))
    }

    /// Seals a text for an owner.
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

    /// Opens what was sealed for that owner.
    pub(super) fn unseal(
        &self,
        owner: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let (head, text) = sealed.split_at_checked(NONCE_BYTES).ok_or(Unopened)?;
        let nonce = nonce(head).ok_or(Unopened)?;
        let payload = Payload {
            msg: text,
            aad: owner,
        };
        let text = self.0.decrypt(&nonce, payload);
        text.map(Zeroizing::new).map_err(|_| Unopened)
    }
}

fn nonce(bytes: &[u8]) -> Option<XNonce> {
    let bytes: [u8; NONCE_BYTES] = bytes.try_into().ok()?;
    Some(bytes.into())
}

fn read(mut file: File, path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, InventoryOpenError> {
    let failed = |source| InventoryOpenError::Key {
        path: path.to_path_buf(),
        source,
    };
    let unfit = |reason| InventoryOpenError::KeyUnfit {
        path: path.to_path_buf(),
        reason,
    };
    let metadata = file.metadata().map_err(failed)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(unfit(
            "others than its owner may read it (set its mode to 0600)",
        ));
    }
    if metadata.len() != KEY_BYTES as u64 {
        return Err(unfit(
            "it is not 32 bytes long (put back the one that was there)",
        ));
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    file.read_exact(&mut *key).map_err(failed)?;
    Ok(key)
}

/// Makes the key: whole and durable, or not at all.
fn make(path: &Path) -> io::Result<Zeroizing<[u8; KEY_BYTES]>> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    OsRng.try_fill_bytes(&mut *key).map_err(io::Error::other)?;
    let mut new = PathBuf::from(path);
    new.set_extension("key.new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(&*key)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(folder: &tempfile::TempDir) -> Sealer {
        Sealer::open(&folder.path().join("inventory.key"), false).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_its_owner_alone_and_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = sealer(&folder).seal(b"one", b"hunter2").unwrap();
        assert!(!sealed.windows(7).any(|part| part == b"hunter2"));
        let again = sealer(&folder);
        assert_eq!(*again.unseal(b"one", &sealed).unwrap(), b"hunter2");
        assert_eq!(again.unseal(b"two", &sealed), Err(Unopened));
        let mut changed = sealed.clone();
        changed[NONCE_BYTES] ^= 1;
        assert_eq!(again.unseal(b"one", &changed), Err(Unopened));
        assert_eq!(again.unseal(b"one", &sealed[..10]), Err(Unopened));
        assert_ne!(again.seal(b"one", b"hunter2").unwrap(), sealed);
    }

    #[test]
    fn another_key_opens_nothing() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [one, two] = folders.each_ref().map(sealer);
        let sealed = one.seal(b"id", b"hunter2").unwrap();
        assert_eq!(two.unseal(b"id", &sealed), Err(Unopened));
    }

    #[test]
    fn the_key_is_for_its_owner_alone() {
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
    fn a_key_that_is_missing_is_not_made_anew_where_something_is_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inventory.key");
        let error = Sealer::open(&path, true).err().unwrap().to_string();
        assert_eq!(
            error,
            format!(
                "key `{}` is missing, and without it the access data in `inventory.db` cannot be \
                 opened (put it back, or move `inventory.db` away and register the storages anew)",
                path.display()
            )
        );
        assert!(!path.exists());
    }
}
