//! The folders in which the dynamic linker looks for a library.
//!
//! This is an approximation for `inspect`. When a plugin is opened, the linker itself
//! decides.

use std::path::{Path, PathBuf};

use crate::{
    elf::Needs,
    platform::{OwnFolders, is_part_of_system, own_folders, system_folders},
};

/// The folders in which the linker looks for the libraries of every file.
pub(crate) struct SystemFolders(Vec<PathBuf>);

/// The folders in which the linker looks for the libraries that one file needs.
pub(crate) struct LinkerPath<'s> {
    system: &'s SystemFolders,
    own: OwnFolders,
}

impl SystemFolders {
    pub(crate) fn read() -> Self {
        Self(system_folders())
    }
}

impl<'s> LinkerPath<'s> {
    pub(crate) fn of(needs: &Needs, path: &Path, system: &'s SystemFolders) -> Self {
        let own = own_folders(needs, path);
        Self { system, own }
    }

    /// Those of the libraries that are in no folder, and those that are found only
    /// relative to the file.
    pub(crate) fn unresolved(&self, libraries: &[String]) -> (Vec<String>, Vec<String>) {
        let absent = |library: &&String| {
            if is_part_of_system(library) {
                return false;
            }
            if library.contains('/') {
                return !Path::new(library).exists();
            }
            !exists_in(&self.system.0, library) && !exists_in(&self.own.fixed, library)
        };
        let absent = libraries.iter().filter(absent).cloned();
        let (only_by_origin, missing) =
            absent.partition(|library| exists_in(&self.own.by_origin, library));
        (missing, only_by_origin)
    }
}

fn exists_in(folders: &[PathBuf], library: &str) -> bool {
    folders.iter().any(|folder| folder.join(library).exists())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_library_found_through_origin_is_not_missing() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("liborigin.so"), "").unwrap();
        let needs = Needs {
            libraries: ["libc.so.6", "liborigin.so", "libnowhere.so"]
                .map(String::from)
                .into(),
            runpath: Some("/opt/none:${ORIGIN}/.".to_owned()),
            ..Needs::default()
        };
        let system = SystemFolders::read();
        let folders = LinkerPath::of(&needs, &folder.path().join("plugin.so"), &system);
        let (missing, only_by_origin) = folders.unresolved(&needs.libraries);
        assert_eq!(missing, ["libnowhere.so"]);
        assert_eq!(only_by_origin, ["liborigin.so"]);
    }
}
