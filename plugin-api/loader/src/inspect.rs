//! Reads a plugin: its manifest, and what it needs on the machine.
//!
//! Promises: the file is read as data and never opened as a library, so that none of
//! its code runs; at most [`MAX_BYTES`] are read, and of a file whose hash is remembered only the
//! parts that are looked at.

use std::{
    borrow::Cow,
    fs::{File, Metadata},
    path::{Path, PathBuf},
};

use object::{ReadCache, read::ReadCacheOps};

use crate::{
    error::{PluginError, Reason},
    find::{file_kind, is_folder},
    folder,
    hashes::FileHashes,
    image::{Image, Library},
    linker_path::SystemFolders,
    manifest::Manifest,
    platform::{lacks_some_library, open_nonblocking},
    sha256::Sha256,
    trust::{self, UntrustedFile},
};

/// The largest plugin file, in bytes.
pub const MAX_BYTES: u64 = 1 << 30;

/// What the loader knows of a plugin without running its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The path of the file or folder, as the caller passed it.
    pub path: PathBuf,
    /// The hash of the content.
    pub sha256: Sha256,
    /// The length in bytes.
    pub size: u64,
    /// The manifest of the plugin.
    pub manifest: Manifest,
    /// What the plugin needs on the machine.
    pub image: Image,
    /// The result of the trust check.
    pub trust: Result<(), UntrustedFile>,
}

impl Inspection {
    /// The name of the file, which `library` in the configuration selects.
    #[must_use]
    pub fn library(&self) -> Cow<'_, str> {
        self.path.file_name().unwrap_or_default().to_string_lossy()
    }

    /// One line for the keys of the manifest that this host ignores, if there are any.
    #[must_use]
    pub fn unknown_keys(&self) -> Option<String> {
        let keys = &self.manifest.unknown_keys;
        (!keys.is_empty()).then(|| {
            format!(
                "`{}` has unknown keys in `plugin.toml`, which are ignored: `{}` (correct them, or use a newer host)",
                self.path.display(),
                keys.join("`, `")
            )
        })
    }

    /// Names the library that is missing, and the own folder of the file as the cause, where it is.
    pub(crate) fn explain(&self, reason: Reason) -> Reason {
        let Image {
            missing,
            only_by_origin,
            ..
        } = &self.image;
        let library = match &reason {
            Reason::MissingLibrary { library } => Some(library),
            Reason::Open { error } if lacks_some_library(error) => {
                only_by_origin.iter().chain(missing).next()
            }
            _ => None,
        };
        match library.cloned() {
            Some(library) if only_by_origin.contains(&library) => Reason::OriginLibrary { library },
            Some(library) => Reason::MissingLibrary { library },
            None => reason,
        }
    }
}

/// Reads a plugin file, or the folder of a plugin.
///
/// # Errors
///
/// It cannot be read, or is not a plugin.
pub fn inspect(path: &Path) -> Result<Inspection, PluginError> {
    inspect_with(path, &FileHashes::default(), &SystemFolders::read())
}

/// As [`inspect`], with the hashes of files that were read before.
pub(crate) fn inspect_with(
    path: &Path,
    hashes: &FileHashes,
    system: &SystemFolders,
) -> Result<Inspection, PluginError> {
    if is_folder(path) {
        return folder::inspect(path).map_err(|reason| reason.at(path));
    }
    let inspection = || {
        let PluginFile { file, metadata } = PluginFile::open(path)?;
        let parts = ReadCache::new(FileParts::of(&file, metadata.len()));
        let library = Library::parse(&parts, path, system)?;
        Ok(Inspection {
            path: path.to_owned(),
            manifest: Manifest::from_section(library.manifest)?,
            image: library.image,
            sha256: hashes.of(&file, &metadata)?,
            size: metadata.len(),
            trust: trust::check(path, &metadata),
        })
    };
    inspection().map_err(|reason: Reason| reason.at(path))
}

/// An open file and its metadata: the file cannot be replaced in between.
pub(crate) struct PluginFile {
    pub(crate) file: File,
    pub(crate) metadata: Metadata,
}

impl PluginFile {
    pub(crate) fn open(path: &Path) -> Result<Self, Reason> {
        file_kind(path)?;
        let unreadable = |error: std::io::Error| Reason::Unreadable {
            error: error.to_string(),
        };
        let file = open_nonblocking(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(Reason::NotRegular);
        }
        if metadata.len() > MAX_BYTES {
            return Err(Reason::TooLarge {
                size: metadata.len(),
                max: MAX_BYTES,
            });
        }
        Ok(Self { file, metadata })
    }
}

/// The parts of a file that describe it. A damaged file can refer to the same bytes again and
/// again, so what is read in all is limited.
struct FileParts<'f> {
    file: &'f File,
    size: u64,
    left: usize,
}

impl<'f> FileParts<'f> {
    fn of(file: &'f File, size: u64) -> Self {
        const MAX_PARTS: usize = 64 << 20;
        Self {
            file,
            size,
            left: MAX_PARTS,
        }
    }
}

impl ReadCacheOps for FileParts<'_> {
    fn len(&mut self) -> Result<u64, ()> {
        Ok(self.size)
    }

    fn seek(&mut self, at: u64) -> Result<u64, ()> {
        ReadCacheOps::seek(&mut self.file, at)
    }

    fn read(&mut self, part: &mut [u8]) -> Result<usize, ()> {
        self.left = self.left.checked_sub(part.len()).ok_or(())?;
        ReadCacheOps::read(&mut self.file, part)
    }

    fn read_exact(&mut self, part: &mut [u8]) -> Result<(), ()> {
        self.left = self.left.checked_sub(part.len()).ok_or(())?;
        ReadCacheOps::read_exact(&mut self.file, part)
    }
}
