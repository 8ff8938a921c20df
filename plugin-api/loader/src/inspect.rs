//! Reads a plugin: its manifest, and what it needs on the machine.
//!
//! Promises: the file is read as data and never opened as a library, so that none of
//! its code runs; at most [`MAX_BYTES`] are read.

use std::{
    borrow::Cow,
    fs::{File, Metadata, OpenOptions},
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::{
    error::{PluginError, Reason},
    find::{file_kind, is_folder},
    folder,
    image::{Image, Library},
    manifest::Manifest,
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

    /// Names `$ORIGIN` as the cause of a missing library, where it is.
    pub(crate) fn explain(&self, reason: Reason) -> Reason {
        match reason {
            Reason::MissingLibrary { library } if self.image.only_by_origin.contains(&library) => {
                Reason::OriginLibrary { library }
            }
            other => other,
        }
    }
}

/// Reads a plugin file, or the folder of a plugin.
///
/// # Errors
///
/// It cannot be read, or is not a plugin.
pub fn inspect(path: &Path) -> Result<Inspection, PluginError> {
    if is_folder(path) {
        return folder::inspect(path).map_err(|reason| reason.at(path));
    }
    let file = PluginFile::read(path).map_err(|reason| reason.at(path))?;
    let inspection = || {
        let library = Library::parse(&file.bytes, path)?;
        Ok(Inspection {
            path: path.to_owned(),
            sha256: Sha256::of(&file.bytes),
            size: file.bytes.len() as u64,
            manifest: Manifest::from_section(library.manifest)?,
            image: library.image,
            trust: trust::check(path, &file.metadata),
        })
    };
    inspection().map_err(|reason: Reason| reason.at(path))
}

/// The content and the metadata of a file, both from one descriptor: the file cannot be
/// replaced in between.
pub(crate) struct PluginFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) metadata: Metadata,
}

impl PluginFile {
    pub(crate) fn read(path: &Path) -> Result<Self, Reason> {
        file_kind(path)?;
        let unreadable = |error: std::io::Error| Reason::Unreadable {
            error: error.to_string(),
        };
        let file = open_nonblocking(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(Reason::NotRegular);
        }
        let too_large = |size| Reason::TooLarge {
            size,
            max: MAX_BYTES,
        };
        if metadata.len() > MAX_BYTES {
            return Err(too_large(metadata.len()));
        }
        let mut bytes = Vec::new();
        let mut bounded = file.take(MAX_BYTES + 1);
        bounded.read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(too_large(bytes.len() as u64));
        }
        Ok(Self { bytes, metadata })
    }
}

// If the file was replaced by a FIFO after `file_kind`, a blocking open would wait for a
// writer.
pub(crate) fn open_nonblocking(path: &Path) -> std::io::Result<File> {
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new()
        .read(true)
        .custom_flags(nonblock)
        .open(path)
}
