//! The hashes of files that were read before, so that a file is read once and not at each start.
//!
//! A hash is that of a file as long as the file has the same device, inode, size, time of
//! modification and time of change. The kernel sets the time of change whenever content, owner, mode or
//! name changes, and only root can choose it, by the clock. It has ticks, so a file that changed a moment ago is
//! not remembered. File systems that are images have no such time, and may show another image under the same
//! numbers: their times are whole seconds, and these are not remembered either. Devices get other numbers when
//! the machine starts, so the hashes are those of one boot. On a system without such a time of change, no hash is
//! remembered.
//!
//! A remembered hash replaces reading the bytes, and no other check: owner and mode are looked at each time. The
//! user of the host can change the list of hashes, and the copies of the plugins as well; other users can
//! change neither. The hash that a configuration pins is not looked up here, but computed each time.

use std::{
    collections::BTreeMap,
    fs::{File, Metadata},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::Reason,
    inspect::PluginFile,
    platform::{FileStamp, FileUse, SECOND_NS, boot_id, file_stamp},
    sha256::Sha256,
    temporary_file::TemporaryFile,
    trust,
};

const FILE_NAME: &str = "hashes.json";

/// Of the file with the hashes.
const MAX_BYTES: u64 = 1 << 20;

/// Files that are remembered.
const MAX_FILES: usize = 2048;

/// Longer than the ticks of the file systems of Linux.
const TICK_NS: i64 = 2 * SECOND_NS;

/// The hashes of files.
#[derive(Debug, Default)]
pub struct FileHashes {
    /// Where the hashes are kept, and the boot that they are from; `None`: nowhere.
    place: Option<(PathBuf, String)>,
    list: Mutex<HashList>,
}

#[derive(Debug, Default)]
struct HashList {
    /// By device and inode.
    files: BTreeMap<(u64, u64), StampedHash>,
    /// Whether `files` is not kept as it is.
    changed: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct StampedHash {
    #[serde(flatten)]
    stamp: FileStamp,
    sha256: Sha256,
}

#[derive(Deserialize)]
struct HashFile {
    boot_id: String,
    files: Vec<StampedHash>,
}

#[derive(Serialize)]
struct HashFileRef<'a> {
    boot_id: &'a str,
    files: Vec<&'a StampedHash>,
}

impl FileHashes {
    /// The hashes that are kept in the plugin cache. If they cannot be read, or other users can
    /// write them, there are none.
    #[must_use]
    pub fn in_cache(cache_dir: &Path) -> Self {
        let Some(boot_id) = boot_id() else {
            return Self::default();
        };
        let path = cache_dir.join(FILE_NAME);
        let files = read(&path, &boot_id).unwrap_or_default();
        let by_inode = |file: StampedHash| ((file.stamp.device, file.stamp.inode), file);
        Self {
            place: Some((path, boot_id)),
            list: Mutex::new(HashList {
                files: files.into_iter().map(by_inode).collect(),
                changed: false,
            }),
        }
    }

    /// The hash of an open file, which is read if it is not remembered. `metadata` is that of the
    /// file before anything of it was read.
    pub(crate) fn of(&self, file: &File, metadata: &Metadata) -> Result<Sha256, Reason> {
        let stamp = file_stamp(metadata);
        let known = self.lock().files.get(&(stamp.device, stamp.inode)).cloned();
        if let Some(known) = known.filter(|known| known.stamp == stamp) {
            return Ok(known.sha256);
        }
        self.of_content(file, metadata)
    }

    /// As [`of`](Self::of), and the file is read in any case.
    pub(crate) fn of_content(&self, file: &File, metadata: &Metadata) -> Result<Sha256, Reason> {
        let stamp = file_stamp(metadata);
        let is_stable = stamp.is_stable(now_ns());
        let sha256 = Sha256::of_copy(file, &mut io::sink()).map_err(unreadable)?;
        if file_stamp(&file.metadata().map_err(unreadable)?) != stamp {
            return Err(Reason::Changed);
        }
        if is_stable {
            self.insert(stamp, sha256);
        }
        Ok(sha256)
    }

    /// Remembers the hash of a file that the host has just written.
    pub(crate) fn remember(&self, written: &Metadata, sha256: Sha256) {
        self.insert(file_stamp(written), sha256);
    }

    /// Keeps the hashes for the next start, if there are new ones. A failure costs time only.
    pub(crate) fn save(&self) {
        let Some((path, boot_id)) = &self.place else {
            return;
        };
        let mut list = self.lock();
        if list.changed {
            list.changed = false;
            let content = HashFileRef {
                boot_id,
                files: list.files.values().collect(),
            };
            if let Err(error) = write(path, &content) {
                log::debug!(path:% = path.display(), error:%; "cannot keep the hashes of plugins");
            }
        }
    }

    fn insert(&self, stamp: FileStamp, sha256: Sha256) {
        if stamp.changed_ns.is_none() {
            // The next stamp of another content could be the same one.
            return;
        }
        let mut list = self.lock();
        if list.files.len() >= MAX_FILES {
            list.files.clear();
        }
        list.changed = true;
        let hash = StampedHash { stamp, sha256 };
        list.files.insert((stamp.device, stamp.inode), hash);
    }

    fn lock(&self) -> MutexGuard<'_, HashList> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileStamp {
    /// Whether a later change has another time of change.
    fn is_stable(&self, now_ns: i64) -> bool {
        self.changed_ns.is_some_and(|changed_ns| {
            changed_ns % SECOND_NS != 0 && now_ns.saturating_sub(changed_ns) > TICK_NS
        })
    }
}

fn unreadable(error: io::Error) -> Reason {
    Reason::Unreadable {
        error: error.to_string(),
    }
}

fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))
}

fn read(path: &Path, boot_id: &str) -> Option<Vec<StampedHash>> {
    let mut text = String::new();
    let PluginFile { file, metadata } = PluginFile::open(path).ok()?;
    trust::check(path, &metadata).ok()?;
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    let kept: HashFile = serde_json::from_str(&text).ok()?;
    (kept.boot_id == boot_id).then_some(kept.files)
}

fn write(path: &Path, content: &HashFileRef<'_>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    trust::check_folder(folder).map_err(io::Error::other)?;
    let file = TemporaryFile::create(folder, FileUse::Data)?;
    (&file.file).write_all(&serde_json::to_vec(content)?)?;
    file.replace(path)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Seek,
        os::unix::fs::{MetadataExt, PermissionsExt},
    };

    use super::*;

    /// A file, and hashes that have a wrong one for it, so that it shows whether the file is read.
    fn remembered(folder: &Path) -> (File, FileHashes) {
        let path = folder.join("plugin.so");
        fs::write(&path, "content").unwrap();
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .unwrap();
        let hashes = FileHashes::in_cache(folder);
        hashes.remember(&file.metadata().unwrap(), Sha256::of(b"remembered"));
        hashes.save();
        (file, hashes)
    }

    fn is_read(file: &File, hashes: &FileHashes) -> bool {
        let hash = hashes.of(file, &file.metadata().unwrap()).unwrap();
        hash != Sha256::of(b"remembered")
    }

    #[test]
    fn a_file_is_read_once_also_by_later_starts() {
        let folder = tempfile::tempdir().unwrap();
        let (file, hashes) = remembered(folder.path());
        assert!(!is_read(&file, &hashes));
        assert!(!is_read(&file, &FileHashes::in_cache(folder.path())));
        assert!(is_read(&file, &FileHashes::default()));
        let content = hashes.of_content(&file, &file.metadata().unwrap());
        assert_eq!(content, Ok(Sha256::of(b"content")));
    }

    #[test]
    fn a_file_that_changed_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, hashes) = remembered(folder.path());
        let metadata = file.metadata().unwrap();
        // The file system may need a moment for another time of change.
        while file.metadata().unwrap().ctime_nsec() == metadata.ctime_nsec() {
            file.rewind().unwrap();
            file.write_all(b"CONTENT").unwrap();
            file.set_modified(metadata.modified().unwrap()).unwrap();
        }
        let changed = file.metadata().unwrap();
        assert_eq!(
            (changed.len(), changed.mtime_nsec()),
            (metadata.len(), metadata.mtime_nsec())
        );
        assert!(is_read(&file, &hashes));
        let copy = folder.path().join("copy.so");
        fs::copy(folder.path().join("plugin.so"), &copy).unwrap();
        assert!(is_read(&File::open(copy).unwrap(), &hashes));
    }

    #[test]
    fn a_file_that_changed_a_moment_ago_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let (file, _) = remembered(folder.path());
        let stamp = file_stamp(&file.metadata().unwrap());
        let changed = |changed_ns| FileStamp {
            changed_ns: Some(changed_ns),
            ..stamp
        };
        for (seconds, is_stable) in [(-5, false), (0, false), (1, false), (3, true)] {
            let now_ns = (100 + seconds) * SECOND_NS;
            let kept = changed(100 * SECOND_NS + 1).is_stable(now_ns + 1);
            assert_eq!(kept, is_stable, "{seconds}");
            assert!(!changed(100 * SECOND_NS).is_stable(now_ns), "{seconds}");
        }
    }

    #[test]
    fn nothing_is_written_to_a_folder_that_others_can_write() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        remembered(folder.path());
        assert!(!folder.path().join(FILE_NAME).exists());
    }

    #[test]
    fn hashes_of_another_boot_and_those_that_others_can_write_are_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let (file, _) = remembered(folder.path());
        let path = folder.path().join(FILE_NAME);
        let kept = fs::read_to_string(&path).unwrap();
        for (content, mode) in [
            (kept.replace(&boot_id().unwrap(), "another"), 0o600),
            (kept[1..].to_owned(), 0o600),
            (kept.clone(), 0o666),
        ] {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(is_read(&file, &FileHashes::in_cache(folder.path())));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(!is_read(&file, &FileHashes::in_cache(folder.path())));
    }
}
