//! Descriptors of the files that SQLite has open.
//!
//! They tell whether a path still names the file that is open, whether another program has cut
//! it off or written to it, and whether the disk can read it. They are closed after the connections: closing one releases the locks of every
//! connection of this process to the file.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use super::{LOG, read_all, with_suffix};
use crate::platform::FileId;

pub(crate) struct OpenFiles {
    files: Vec<Descriptor>,
}

struct Descriptor {
    path: PathBuf,
    file: File,
    id: FileId,
    /// The length after the last transaction of the host, [`CUT_OFF`] from the time when the file
    /// was shorter.
    len: AtomicU64,
    /// When the file was last written, after the last transaction of the host.
    written_ns: AtomicI64,
}

const CUT_OFF: u64 = u64::MAX;

impl OpenFiles {
    /// Opens the database at a path, and its log. SQLite has just opened both.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let paths = [path.to_path_buf(), with_suffix(path, LOG)];
        let files = paths.into_iter().map(Descriptor::open);
        Ok(Self {
            files: files.collect::<io::Result<_>>()?,
        })
    }

    /// The first path that does not name the open file any more.
    pub(crate) fn displaced(&self) -> Option<&Path> {
        let displaced = self.files.iter().find(|file| !file.is_in_place());
        displaced.map(|file| file.path.as_path())
    }

    /// The first path whose file is shorter than after the last transaction, or was once. Only
    /// for the thread that writes: its own transactions shorten the files too.
    pub(crate) fn cut_off(&self) -> Option<&Path> {
        let cut_off = self.files.iter().find(|file| file.is_cut_off());
        cut_off.map(|file| file.path.as_path())
    }

    /// The first path whose file was written since the last transaction. Only for the thread that
    /// writes. A write in the same tick of the clock as that transaction is not seen.
    pub(crate) fn overwritten(&self) -> Option<&Path> {
        let overwritten = self.files.iter().find(|file| file.is_overwritten());
        overwritten.map(|file| file.path.as_path())
    }

    /// To be called after each transaction of the host.
    pub(crate) fn note_written(&self) {
        for file in &self.files {
            if let (Ok(metadata), true) = (file.file.metadata(), file.noted() != CUT_OFF) {
                file.len.store(metadata.len(), Ordering::Relaxed);
                file.written_ns
                    .store(written_ns(&metadata), Ordering::Relaxed);
            }
        }
    }

    /// Reads all of both files. An error is one of the disk: SQLite reports a failed read as
    /// damage.
    pub(crate) fn check_disk(&self) -> io::Result<()> {
        self.files.iter().try_for_each(|open| read_all(&open.file))
    }
}

impl Descriptor {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = File::open(&path)?;
        let metadata = file.metadata()?;
        Ok(Self {
            id: FileId::of(&file)?,
            path,
            file,
            len: AtomicU64::new(metadata.len()),
            written_ns: AtomicI64::new(written_ns(&metadata)),
        })
    }

    fn is_cut_off(&self) -> bool {
        let is_shorter = |found: fs::Metadata| found.len() < self.noted();
        if self.file.metadata().is_ok_and(is_shorter) {
            self.len.store(CUT_OFF, Ordering::Relaxed);
        }
        self.noted() == CUT_OFF
    }

    fn is_overwritten(&self) -> bool {
        let noted = self.written_ns.load(Ordering::Relaxed);
        let differs = |found: fs::Metadata| written_ns(&found) != noted;
        self.file.metadata().is_ok_and(differs)
    }

    fn noted(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    fn is_in_place(&self) -> bool {
        FileId::of_path(&self.path).is_ok_and(|found| found == self.id)
    }
}

fn written_ns(metadata: &fs::Metadata) -> i64 {
    let written = metadata.modified().ok();
    let since = written.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_nanos() as i64)
}
