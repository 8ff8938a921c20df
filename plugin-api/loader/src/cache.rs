//! The plugin cache: the copies that the host opens, as `<cache>/<sha256>/<name>`.
//!
//! The path of a copy contains the hash of its content. So a plugin that was replaced on
//! disk is a new file for the dynamic linker, which would otherwise return the library
//! that is already open. And a library that the host uses cannot change.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use crate::{
    error::Reason,
    hashes::FileHashes,
    platform::{FileUse, create_private_folders, is_noexec},
    sha256::Sha256,
    temporary_file::TemporaryFile,
    trust,
};

/// The folder of one plugin file in the cache, and of the files that belong to it.
pub(crate) struct CacheFolder {
    folder: PathBuf,
    content: Sha256,
}

impl CacheFolder {
    /// Creates the folder, and checks that libraries can be opened from it.
    pub(crate) fn new(cache: &Path, content: Sha256) -> Result<Self, Reason> {
        let folder = cache.join(content.to_string());
        let unusable = |error: String| Reason::CacheUnusable {
            to: folder.clone(),
            error,
        };
        create_private_folders(&folder).map_err(|error| unusable(error.to_string()))?;
        for folder in [cache, &folder] {
            trust::check_folder(folder).map_err(|untrusted| unusable(format!("it {untrusted}")))?;
        }
        let is_noexec = is_noexec(&folder).map_err(|error| unusable(error.to_string()))?;
        refuse_noexec(cache, is_noexec)?;
        Ok(Self { folder, content })
    }

    /// Stores the content, which `file` has, under a name, unless it is already there, and
    /// returns the path.
    pub(crate) fn store(
        &self,
        name: &str,
        file: &File,
        hashes: &FileHashes,
    ) -> Result<PathBuf, Reason> {
        let copy = self.folder.join(name);
        // The name alone is not enough: a copy is not synced, so that a crash of the
        // machine can leave a part of it.
        if let Ok(present) = File::open(&copy)
            && let Ok(metadata) = present.metadata()
            && hashes.of(&present, &metadata) == Ok(self.content)
        {
            return Ok(copy);
        }
        let written = self.write(&copy, file, hashes);
        let written = written.map_err(|error| Reason::CacheUnusable {
            to: copy.clone(),
            error: error.to_string(),
        });
        written?.then_some(copy).ok_or(Reason::Changed)
    }

    /// Writes a file atomically. Returns whether it has the content of this folder.
    fn write(&self, copy: &Path, from: &File, hashes: &FileHashes) -> io::Result<bool> {
        let mut to = TemporaryFile::create(&self.folder, FileUse::Library)?;
        if Sha256::of_copy(from, &mut to.file)? != self.content {
            return Ok(false);
        }
        to.replace(copy)?;
        hashes.remember(&to.file.metadata()?, self.content);
        Ok(true)
    }
}

fn refuse_noexec(cache: &Path, is_noexec: bool) -> Result<(), Reason> {
    if !is_noexec {
        return Ok(());
    }
    Err(Reason::CacheNoexec {
        cache: cache.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::*;

    #[test]
    fn a_noexec_cache_names_the_setting() {
        let cache = Path::new("/run/delfin");
        assert_eq!(refuse_noexec(cache, false), Ok(()));
        let reason = refuse_noexec(cache, true).unwrap_err();
        assert!(reason.to_string().contains("set `plugin_cache_dir`"));
    }

    #[test]
    fn a_damaged_copy_is_replaced() {
        let cache = tempfile::tempdir().unwrap();
        let mut whole = tempfile::tempfile().unwrap();
        whole.write_all(b"whole").unwrap();
        for hashes in [FileHashes::default(), FileHashes::in_cache(cache.path())] {
            let folder = CacheFolder::new(cache.path(), Sha256::of(b"whole")).unwrap();
            let store = || folder.store("x.so", &whole, &hashes);
            let copy = store().unwrap();
            for damaged in ["who", "whale"] {
                fs::remove_file(&copy).unwrap();
                fs::write(&copy, damaged).unwrap();
                assert_eq!(store(), Ok(copy.clone()));
                assert_eq!(fs::read(&copy).unwrap(), b"whole");
            }
            assert_eq!(fs::read_dir(&folder.folder).unwrap().count(), 1);
        }
        whole.write_all(b"r").unwrap();
        let folder = CacheFolder::new(cache.path(), Sha256::of(b"whole")).unwrap();
        let stored = folder.store("y.so", &whole, &FileHashes::default());
        assert_eq!(stored, Err(Reason::Changed));
    }

    #[test]
    fn a_cache_that_others_can_write_to_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let cache = tempfile::tempdir().unwrap();
        fs::set_permissions(cache.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let refused = CacheFolder::new(cache.path(), Sha256::of(b"")).err();
        assert!(matches!(refused, Some(Reason::CacheUnusable { .. })));
    }
}
