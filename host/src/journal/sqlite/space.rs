//! The room on a journal's disk, and the reserve for when there is none.
//!
//! A full disk refuses deletes too, since they are written to the log first.
//! The reserve is a file of no content: given up, it is the room in which
//! cursors move and records are deleted until there is room again. Where there
//! is no reserve, appends leave as much room on the disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

const RESERVE_BYTES: u64 = 8 << 20;
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// What is free on the disk of a journal.
pub(super) struct Space {
    folder: PathBuf,
    reserve: PathBuf,
    min_free_bytes: u64,
    has_reserve: bool,
    checked: Option<(Instant, Option<u64>)>,
}

impl Space {
    pub(super) fn new(folder: &Path, journal: &str, min_free_bytes: u64) -> Self {
        let reserve = folder.join(format!("{journal}.reserve"));
        Self {
            folder: folder.to_path_buf(),
            has_reserve: is_reserve(&reserve),
            reserve,
            min_free_bytes,
            checked: None,
        }
    }

    /// How much an append must leave free.
    pub(super) fn min_free_bytes(&self) -> u64 {
        if self.has_reserve {
            self.min_free_bytes
        } else {
            self.min_free_bytes.max(RESERVE_BYTES)
        }
    }

    /// Asks the system anew the next time: it has just refused a write.
    pub(super) const fn doubt(&mut self) {
        self.checked = None;
    }

    /// How much is free, at most a second ago; nothing if the system does not say.
    pub(super) fn free_bytes(&mut self) -> Option<u64> {
        match self.checked {
            Some((at, free)) if at.elapsed() < CHECK_EVERY => free,
            Some(_) | None => {
                let free = free_bytes(&self.folder);
                self.checked = Some((Instant::now(), free));
                free
            }
        }
    }

    /// Notes what was written since the system was asked.
    pub(super) fn take(&mut self, bytes: u64) {
        if let Some((_, Some(free))) = &mut self.checked {
            *free = free.saturating_sub(bytes);
        }
    }

    /// Whether less is free than should be.
    pub(super) fn is_short(&mut self) -> bool {
        self.free_bytes()
            .is_some_and(|free| free < self.min_free_bytes())
    }

    /// Gives up the reserve; says whether there was one.
    pub(super) fn release_reserve(&mut self) -> bool {
        self.doubt();
        self.has_reserve = false;
        let released = fs::remove_file(&self.reserve).is_ok();
        if released {
            log::warn!(reserve:% = self.reserve.display(); "disk is full, the journal's reserve was given up");
        }
        released
    }

    /// Makes the reserve where it is missing and there is room enough.
    pub(super) fn keep_reserve(&mut self) {
        let enough = RESERVE_BYTES
            .saturating_mul(2)
            .max(self.min_free_bytes.saturating_add(RESERVE_BYTES));
        self.has_reserve = is_reserve(&self.reserve);
        if self.has_reserve || self.free_bytes().is_none_or(|free| free < enough) {
            return;
        }
        if let Err(error) = allocate(&self.reserve) {
            // Not every file system can set room aside, and half a reserve would be mistaken for one.
            log::debug!(reserve:% = self.reserve.display(), error:% = error; "no reserve for the journal");
            drop(fs::remove_file(&self.reserve));
        }
        self.has_reserve = is_reserve(&self.reserve);
        self.doubt();
    }
}

/// How much is free for this user; nothing if the system does not say.
pub(super) fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Whether the file is there, and whole.
fn is_reserve(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.len() >= RESERVE_BYTES)
}

fn allocate(path: &Path) -> io::Result<()> {
    Ok(fallocate(
        &File::create(path)?,
        FallocateFlags::empty(),
        0,
        RESERVE_BYTES,
    )?)
}
