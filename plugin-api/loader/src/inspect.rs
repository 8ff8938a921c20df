//! Reads a plugin file: what it says about itself, and what it needs.
//!
//! Promises: the file is read as data and never opened as a library, so none of
//! its code runs, whatever is in it; and no more is read than [`MAX_BYTES`].

use std::{
    borrow::Cow,
    fs::{File, Metadata, OpenOptions},
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::{
    distrust::{self, Distrust},
    find::file_kind,
    image::{Image, Library},
    manifest::Manifest,
    refusal::{Reason, Refusal},
    sha256::Sha256,
};

/// The largest file that is read.
pub const MAX_BYTES: u64 = 1 << 30;

/// What is known of a plugin file without running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The file, as it was named.
    pub path: PathBuf,
    /// Its content.
    pub sha256: Sha256,
    /// Its length in bytes.
    pub size: u64,
    /// What the plugin says about itself.
    pub manifest: Manifest,
    /// What it needs of the machine.
    pub image: Image,
    /// Whether somebody else could have written it.
    pub trust: Result<(), Distrust>,
}

impl Inspection {
    /// The name by which a configuration selects the file.
    #[must_use]
    pub fn library(&self) -> Cow<'_, str> {
        self.path.file_name().unwrap_or_default().to_string_lossy()
    }
}

/// Reads a plugin file.
///
/// # Errors
/// Where the file is no plugin, or none that can be read.
pub fn inspect(path: &Path) -> Result<Inspection, Refusal> {
    let content = Content::read(path).map_err(|reason| reason.of(path))?;
    let inspection = || {
        let library = Library::parse(&content.bytes, path)?;
        Ok(Inspection {
            path: path.to_owned(),
            sha256: Sha256::of(&content.bytes),
            size: content.bytes.len() as u64,
            manifest: Manifest::from_section(library.manifest)?,
            image: library.image,
            trust: distrust::check(path, &content.metadata),
        })
    };
    inspection().map_err(|reason: Reason| reason.of(path))
}

/// What one descriptor gave: the bytes, and who could have written them.
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) metadata: Metadata,
}

impl Content {
    pub(crate) fn read(path: &Path) -> Result<Self, Reason> {
        file_kind(path)?;
        let unreadable = |error: std::io::Error| Reason::Unreadable {
            error: error.to_string(),
        };
        let file = open_without_waiting(path).map_err(unreadable)?;
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

// Opening a FIFO would wait for its writer, if one was put in the file's place.
fn open_without_waiting(path: &Path) -> std::io::Result<File> {
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new()
        .read(true)
        .custom_flags(nonblock)
        .open(path)
}
