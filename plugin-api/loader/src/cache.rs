//! The folder of copies from which plugins are opened: `<cache>/<sha256>/<name>`.
//!
//! The name of a copy is its content. So a plugin that is replaced on disk is a
//! new file to the dynamic linker, which would go on with the old one otherwise,
//! and no one can change a library under a running host.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::fs::StatVfsMountFlags;

use crate::{distrust, refusal::Reason, sha256::Sha256};

/// The folder of one content.
pub(crate) struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    /// Makes the folder, and sees that libraries can be opened from it.
    pub(crate) fn new(cache: &Path, content: Sha256) -> Result<Self, Reason> {
        let folder = cache.join(content.to_string());
        let unusable = |error: String| Reason::CacheUnusable {
            to: folder.clone(),
            error,
        };
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| unusable(error.to_string()))?;
        for folder in [cache, &folder] {
            distrust::check_folder(folder).map_err(|distrust| unusable(distrust.to_string()))?;
        }
        let mount = rustix::fs::statvfs(&folder).map_err(|error| unusable(error.to_string()))?;
        refuse_noexec(cache, mount.f_flag)?;
        Ok(Self { folder })
    }

    /// Puts the content there under that name, if it is not there already.
    pub(crate) fn place(&self, name: &str, content: &[u8]) -> Result<PathBuf, Reason> {
        let copy = self.folder.join(name);
        // A copy may be torn: it is not synced, and the machine may have failed.
        if fs::read(&copy).is_ok_and(|present| present == content) {
            return Ok(copy);
        }
        self.write(name, content, 0o500)
            .map_err(|error| Reason::CacheUnusable {
                to: copy.clone(),
                error: error.to_string(),
            })?;
        Ok(copy)
    }

    /// A file of that name beside the copy.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file whole or not at all.
    pub(crate) fn write(&self, name: &str, content: &[u8], mode: u32) -> io::Result<()> {
        let (temporary, mut file) = self.temporary(mode)?;
        let written = file
            .write_all(content)
            .and_then(|()| fs::rename(&temporary, self.folder.join(name)));
        if written.is_err() {
            // What is left over is found by no one, and hurts no one.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// A file that nobody else has.
    pub(crate) fn temporary(&self, mode: u32) -> io::Result<(PathBuf, File)> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = self.file(&format!(".{}-{number}", std::process::id()));
        // A process of that number may have been here before, and ended too soon.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) | Ok(()) => {}
        }
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)?;
        Ok((path, file))
    }
}

fn refuse_noexec(cache: &Path, mount: StatVfsMountFlags) -> Result<(), Reason> {
    if !mount.contains(StatVfsMountFlags::NOEXEC) {
        return Ok(());
    }
    Err(Reason::CacheNoexec {
        cache: cache.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noexec_cache_names_the_setting() {
        let cache = Path::new("/run/delfin");
        assert_eq!(refuse_noexec(cache, StatVfsMountFlags::NOSUID), Ok(()));
        let reason = refuse_noexec(cache, StatVfsMountFlags::NOEXEC).unwrap_err();
        assert!(reason.to_string().contains("set `plugin_cache_dir`"));
    }

    #[test]
    fn a_torn_copy_is_replaced() {
        let cache = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(cache.path(), Sha256::of(b"whole")).unwrap();
        let copy = shelf.place("x.so", b"whole").unwrap();
        fs::remove_file(&copy).unwrap();
        fs::write(&copy, b"who").unwrap();
        assert_eq!(shelf.place("x.so", b"whole"), Ok(copy.clone()));
        assert_eq!(fs::read(copy).unwrap(), b"whole");
        assert_eq!(fs::read_dir(&shelf.folder).unwrap().count(), 1);
    }

    #[test]
    fn a_cache_that_others_can_write_to_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let cache = tempfile::tempdir().unwrap();
        fs::set_permissions(cache.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let refused = Shelf::new(cache.path(), Sha256::of(b"")).err();
        assert!(matches!(refused, Some(Reason::CacheUnusable { .. })));
    }
}
