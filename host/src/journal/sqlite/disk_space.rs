//! Free space on the disk of a journal, and a reserve for a full disk.
//!
//! SQLite writes deletes to its log first, so on a full disk nothing can be deleted.
//! The reserve is an empty file of a fixed size. Removing it frees the space in which
//! cursors advance and records are deleted. While there is no reserve, appends leave
//! that much more space free.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::lock::open_regular;
use crate::platform::{allocate, free_bytes};

const RESERVE_BYTES: u64 = 8 << 20;
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct DiskSpace {
    folder: PathBuf,
    reserve: PathBuf,
    min_free_bytes: u64,
    has_reserve: bool,
    /// When the system was asked last, and its answer less what was written since.
    checked: Option<(Instant, Option<u64>)>,
}

impl DiskSpace {
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

    /// Bytes that an append must leave free.
    pub(super) fn min_free_bytes(&self) -> u64 {
        if self.has_reserve {
            self.min_free_bytes
        } else {
            self.min_free_bytes.max(RESERVE_BYTES)
        }
    }

    /// Asks the system again at the next call: a write has just failed.
    pub(super) const fn invalidate(&mut self) {
        self.checked = None;
    }

    /// Free bytes, at most a second old; `None` if the system does not report them.
    pub(super) fn free_bytes(&mut self) -> Option<u64> {
        match self.checked {
            Some((at, free)) if at.elapsed() < CHECK_INTERVAL => free,
            Some(_) | None => {
                let free = free_bytes(&self.folder);
                self.checked = Some((Instant::now(), free));
                free
            }
        }
    }

    /// Subtracts bytes that were written since the system was asked.
    pub(super) fn note_written(&mut self, bytes: u64) {
        if let Some((_, Some(free))) = &mut self.checked {
            *free = free.saturating_sub(bytes);
        }
    }

    /// Whether less is free than appends must leave.
    pub(super) fn is_short(&mut self) -> bool {
        self.free_bytes()
            .is_some_and(|free| free < self.min_free_bytes())
    }

    /// Removes the reserve. False: there was none.
    pub(super) fn release_reserve(&mut self) -> bool {
        self.invalidate();
        self.has_reserve = false;
        let released = fs::remove_file(&self.reserve).is_ok();
        if released {
            log::warn!(reserve:% = self.reserve.display(); "disk is full, the reserve of the journal was released");
        }
        released
    }

    /// Creates a missing reserve if the disk has enough space for it.
    pub(super) fn create_reserve(&mut self) {
        let enough = RESERVE_BYTES
            .saturating_mul(2)
            .max(self.min_free_bytes.saturating_add(RESERVE_BYTES));
        self.has_reserve = is_reserve(&self.reserve);
        if self.has_reserve || self.free_bytes().is_none_or(|free| free < enough) {
            return;
        }
        let created = open_regular(&self.reserve);
        if let Err(error) = created.and_then(|file| allocate(&file, RESERVE_BYTES)) {
            // Not every file system can allocate space without writing it. A partial file
            // is no reserve.
            log::debug!(reserve:% = self.reserve.display(), error:% = error; "cannot create the reserve of the journal");
            drop(fs::remove_file(&self.reserve));
        }
        self.has_reserve = is_reserve(&self.reserve);
        self.invalidate();
    }
}

/// Whether the file exists with its full size.
fn is_reserve(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.is_file() && file.len() >= RESERVE_BYTES)
}
