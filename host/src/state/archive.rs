//! The file of a backup: a tar archive in a zstd frame, for which every system has a reader.
//!
//! Its last entry is the manifest, with size and checksum of all others: an archive that was cut
//! off has none. Knows nothing of what the files contain.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tar::{Archive, Builder, EntryType, Header};

use super::{
    contents::{DATABASES, is_known},
    error::StateError,
    progress::{CountingReader, ProgressListener},
};
use crate::{
    platform::{FileReaders, create_file_of_mode, create_folders, create_private_file, mode_of},
    regular_file,
};

const MANIFEST: &str = "manifest.json";
const FORMAT: u32 = 1;
/// Most of the state is compressed already.
const ZSTD_LEVEL: i32 = 1;
/// The largest manifest that is read.
const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// What an archive says about itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BackupManifest {
    format: u32,
    pub(super) host_version: String,
    /// In milliseconds since the Unix epoch.
    pub(super) created_ms: i64,
    pub(super) has_key: bool,
    /// By path in the archive.
    files: BTreeMap<String, FileEntry>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileEntry {
    bytes: u64,
    sha256: String,
}

impl BackupManifest {
    pub(super) fn new(created_ms: i64, has_key: bool) -> Self {
        Self {
            format: FORMAT,
            host_version: env!("CARGO_PKG_VERSION").to_owned(),
            created_ms,
            has_key,
            files: BTreeMap::new(),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }

    /// Why files are not those of the backup.
    fn mistake(&self, found: &BTreeMap<String, FileEntry>) -> Option<String> {
        if !DATABASES
            .iter()
            .any(|database| found.contains_key(database.file))
        {
            return Some("it has no database".to_owned());
        }
        if let Some(name) = found.keys().find(|name| !self.files.contains_key(*name)) {
            return Some(format!("`{name}` is not in its manifest"));
        }
        let mut files = self.files.iter();
        files.find_map(|(name, entry)| match found.get(name) {
            None => Some(format!("`{name}` is missing")),
            Some(found) if found != entry => Some(format!("`{name}` differs from its checksum")),
            Some(_) => None,
        })
    }
}

/// Writes the files of a folder into a new archive, which only its owner can read.
pub(super) fn write(
    folder: &Path,
    to: &Path,
    mut manifest: BackupManifest,
    progress: &dyn ProgressListener,
) -> Result<BackupManifest, StateError> {
    let files = files(folder).map_err(StateError::of_file(folder))?;
    let total = files.iter().map(|(_, metadata)| metadata.len()).sum();
    progress.begin("writing the archive", total);
    let mut done = 0;
    let mut pack = || {
        let file = create_private_file(to)?;
        let mut encoder = zstd::Encoder::new(file, ZSTD_LEVEL)?;
        encoder.include_checksum(true)?;
        let mut archive = Builder::new(encoder);
        for (path, metadata) in &files {
            let name = path.strip_prefix(folder).unwrap_or(path);
            let mode = mode_of(metadata);
            let mut header = header(metadata.len(), mode, manifest.created_ms);
            let mut content = HashingReader::new(File::open(path)?);
            archive.append_data(&mut header, name, &mut content)?;
            let (bytes, sha256) = content.finish();
            done += bytes;
            progress.set(done);
            let name = name.to_string_lossy().into_owned();
            manifest.files.insert(name, FileEntry { bytes, sha256 });
        }
        let text = serde_json::to_vec_pretty(&manifest)?;
        let mut header = header(text.len() as u64, 0o600, manifest.created_ms);
        archive.append_data(&mut header, MANIFEST, &*text)?;
        archive.into_inner()?.finish()?.sync_all()
    };
    pack().map_err(StateError::of_file(to))?;
    Ok(manifest)
}

/// Extracts an archive into an empty folder, and compares all files with the manifest.
pub(super) fn extract(
    archive: &Path,
    folder: &Path,
    progress: &dyn ProgressListener,
) -> Result<BackupManifest, StateError> {
    let failed = StateError::of_file(archive);
    let file = match regular_file::open(archive) {
        Ok(file) => file,
        Err(error) => return Err(failed(error)),
    };
    let total = file.metadata().map_or(0, |metadata| metadata.len());
    progress.begin("reading the archive", total);
    let unsound = |error: &dyn ToString| StateError::unsound(archive, error.to_string());
    let reader = CountingReader::new(file, progress);
    let decoder = zstd::Decoder::new(reader).map_err(|error| unsound(&error))?;
    let mut archived = Archive::new(decoder);
    let mut found = BTreeMap::new();
    let mut manifest: Option<BackupManifest> = None;
    for entry in archived.entries().map_err(|error| unsound(&error))? {
        let mut entry = entry.map_err(|error| unsound(&error))?;
        let path = entry.path().map_err(|error| unsound(&error))?.into_owned();
        if path == Path::new(MANIFEST) {
            let mut text = Vec::new();
            let read = entry.take(MAX_MANIFEST_BYTES).read_to_end(&mut text);
            read.map_err(|error| unsound(&error))?;
            manifest = Some(serde_json::from_slice(&text).map_err(|error| unsound(&error))?);
            continue;
        }
        if entry.header().entry_type() != EntryType::Regular || !is_safe(&path) {
            let reason = format!("it contains `{}`, which no backup has", path.display());
            return Err(StateError::unsound(archive, reason));
        }
        let mode = entry.header().mode().unwrap_or(0o600);
        let target = folder.join(&path);
        let file = create(folder, &target, mode).map_err(StateError::of_file(&target))?;
        let copied = copy(&mut entry, file);
        let copied = copied.map_err(|(source, is_read)| match is_read {
            true => unsound(&source),
            false => StateError::of_file(&target)(source),
        })?;
        found.insert(path.to_string_lossy().into_owned(), copied);
    }
    // The end of the frame, with its checksum, is after the end of the archive.
    let rest = io::copy(&mut archived.into_inner(), &mut io::sink());
    rest.map_err(|error| unsound(&error))?;
    let manifest = manifest.ok_or_else(|| unsound(&"it ends early"))?;
    if manifest.format != FORMAT {
        let reason = format!("format {} needs a newer host", manifest.format);
        return Err(StateError::unsound(archive, reason));
    }
    match manifest.mistake(&found) {
        Some(reason) => Err(StateError::unsound(archive, reason)),
        None => Ok(manifest),
    }
}

/// All regular files below a folder, in the order of their names.
pub(super) fn files(folder: &Path) -> io::Result<Vec<(PathBuf, fs::Metadata)>> {
    let mut files = Vec::new();
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            files.extend(self::files(&entry.path())?);
        } else if metadata.is_file() {
            files.push((entry.path(), metadata));
        }
    }
    Ok(files)
}

fn header(bytes: u64, mode: u32, time_ms: i64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(bytes);
    header.set_mode(mode & 0o770);
    header.set_mtime(u64::try_from(time_ms / 1000).unwrap_or_default());
    header
}

/// A relative path without detours, whose first part belongs to the state.
fn is_safe(path: &Path) -> bool {
    let mut parts = path.components();
    let first = path.components().next();
    parts.all(|part| matches!(part, Component::Normal(_)))
        && first.is_some_and(|first| is_known(&first.as_os_str().to_string_lossy()))
}

fn create(folder: &Path, target: &Path, mode: u32) -> io::Result<File> {
    let parent = target.parent().unwrap_or(folder);
    create_folders(parent, FileReaders::Group)?;
    create_file_of_mode(target, mode & 0o770 | 0o600)
}

/// The error says whether reading failed.
fn copy(from: &mut impl Read, mut to: File) -> Result<FileEntry, (io::Error, bool)> {
    let mut from = HashingReader::new(from);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => to
                .write_all(&buffer[..read])
                .map_err(|error| (error, false))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((error, true)),
        }
    }
    to.sync_all().map_err(|error| (error, false))?;
    let (bytes, sha256) = from.finish();
    Ok(FileEntry { bytes, sha256 })
}

struct HashingReader<R> {
    reader: R,
    hash: Sha256,
    bytes: u64,
}

impl<R> HashingReader<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    fn finish(self) -> (u64, String) {
        use std::fmt::Write as _;
        let mut text = String::new();
        for byte in self.hash.finalize() {
            let _ = write!(text, "{byte:02x}");
        }
        (self.bytes, text)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
