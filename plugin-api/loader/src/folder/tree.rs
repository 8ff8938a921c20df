//! All files of a folder: their hash, and whether other users can write them.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::{
    error::Reason,
    inspect::MAX_BYTES,
    platform::{is_link_loop, open_nonblocking},
    sha256::Sha256,
    trust::{PathRole, WritablePath, find_writer},
};

/// The most files in a folder.
const MAX_FILES: usize = 100_000;

/// How many paths that other users can write are named. The first ones show the way.
const MAX_NAMED: usize = 3;

/// What a folder has.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) sha256: Sha256,
    /// Bytes of all files.
    pub(super) size: u64,
    pub(super) writable: Vec<WritablePath>,
    /// The path of each file below the folder, and its hash.
    files: Vec<(PathBuf, Sha256)>,
}

impl Tree {
    /// Reads all files. A link is not followed, but its target must be trusted.
    pub(super) fn read(folder: &Path) -> Result<Self, Reason> {
        let mut tree = Self::default();
        tree.add_folder(folder, Path::new(""))
            .map_err(|error| Reason::Unreadable {
                error: error.to_string(),
            })?;
        if tree.size > MAX_BYTES || tree.files.len() > MAX_FILES {
            return Err(Reason::FolderTooLarge {
                max_files: MAX_FILES,
                max: MAX_BYTES,
            });
        }
        let files = &mut tree.files;
        files.sort_by(|(a, _), (b, _)| {
            a.as_os_str()
                .as_encoded_bytes()
                .cmp(b.as_os_str().as_encoded_bytes())
        });
        let mut list = Vec::new();
        for (path, hash) in files {
            list.extend(format!("{hash}  ./").bytes());
            list.extend(path.as_os_str().as_encoded_bytes());
            list.push(b'\n');
        }
        tree.sha256 = Sha256::of(&list);
        Ok(tree)
    }

    fn add_folder(&mut self, root: &Path, below: &Path) -> io::Result<()> {
        let folder = root.join(below);
        for entry in fs::read_dir(&folder).map_err(|error| named(&folder, &error))? {
            let entry = entry?;
            if self.size > MAX_BYTES || self.files.len() > MAX_FILES {
                return Ok(());
            }
            let path = below.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_symlink() {
                let target = self.check_target(&entry.path());
                target.map_err(|error| named(&entry.path(), &error))?;
                continue;
            }
            let role = if kind.is_dir() {
                PathRole::Folder
            } else {
                PathRole::File
            };
            self.check(&entry.path(), &entry.metadata()?, role)?;
            if kind.is_dir() {
                self.add_folder(root, &path)?;
            } else if kind.is_file() {
                let added = self.add_file(&entry.path(), path);
                added.map_err(|error| named(&entry.path(), &error))?;
            }
        }
        Ok(())
    }

    fn add_file(&mut self, file: &Path, name: PathBuf) -> io::Result<()> {
        let mut bytes = Vec::new();
        let left = MAX_BYTES.saturating_sub(self.size);
        open_nonblocking(file)?
            .take(left + 1)
            .read_to_end(&mut bytes)?;
        self.size += bytes.len() as u64;
        self.files.push((name, Sha256::of(&bytes)));
        Ok(())
    }

    fn check_target(&mut self, link: &Path) -> io::Result<()> {
        match link.canonicalize() {
            Ok(target) => {
                let metadata = target.metadata()?;
                let role = if metadata.is_dir() {
                    PathRole::Folder
                } else {
                    PathRole::File
                };
                self.check(&target, &metadata, role)
            }
            // No program can read what does not exist, or is a link to itself.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) if is_link_loop(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn check(&mut self, path: &Path, metadata: &fs::Metadata, role: PathRole) -> io::Result<()> {
        if self.writable.len() < MAX_NAMED {
            self.writable.extend(find_writer(path, metadata, role)?);
        }
        Ok(())
    }
}

/// The error with the path that it is about: the reader knows only the folder of the plugin.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}
