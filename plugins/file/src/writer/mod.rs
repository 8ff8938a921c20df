//! Writes lines to the file that the settings name, and rotates it.
//!
//! Promises: what [`FileWriter::append`] appended is on disk, in one file; a
//! failed append is undone. The writer notices before each batch that someone
//! moved or removed the file, and it never removes a file that is not its own.
//!
//! Knows nothing of batches.

mod now;
mod open_file;
mod platform;
mod rotation;

use std::{
    fs::{self, File},
    io,
};

use delfin_plugin_api::log;

pub(crate) use self::now::Now;
use self::open_file::OpenFile;
use crate::{config::Config, outcome::WriteError};

pub(crate) struct FileWriter {
    config: Config,
    open: Option<OpenFile>,
}

impl FileWriter {
    /// A writer for a path that can be that of a file. It creates the file with the first batch; an
    /// existing one is opened now, and loses an incomplete last line with the first batch or tick.
    pub(crate) fn new(config: Config) -> Result<Self, WriteError> {
        let exists = OpenFile::check(&config.path)?;
        let open = exists.then(|| OpenFile::open(&config.path, Now::read()));
        Ok(Self {
            open: open.transpose()?,
            config,
        })
    }

    /// Checks whether the path can be that of a file, without creating anything.
    pub(crate) fn check(config: &Config) -> Result<(), WriteError> {
        OpenFile::check(&config.path).map(drop)
    }

    /// Appends what `write` writes, all of it or nothing.
    pub(crate) fn append<T>(
        &mut self,
        now: Now,
        write: impl FnOnce(&File) -> io::Result<T>,
    ) -> Result<T, WriteError> {
        let appended = self.ready(now)?.append(now, write);
        appended.map_err(WriteError::io("append to", &self.config.path))
    }

    /// Rotates the file if it is due.
    pub(crate) fn tick(&mut self, now: Now) -> Result<(), WriteError> {
        if self.open.is_none() {
            return Ok(());
        }
        self.ready(now).map(drop)
    }

    /// Closes the file, which releases its lock.
    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    /// The file at the path, without a partly written batch, rotated if it was due.
    fn ready(&mut self, now: Now) -> Result<&mut OpenFile, WriteError> {
        let Config {
            rotate_bytes,
            rotate_age,
            ..
        } = self.config;
        let open = self.current(now)?;
        let len = open.repair().and_then(|()| open.len());
        let old = rotate_age.is_some_and(|limit| open.age(now) >= limit);
        let len = len.map_err(WriteError::io("repair", &self.config.path))?;
        let long = rotate_bytes.is_some_and(|limit| len >= limit);
        // An empty file has no first line yet, and so no age.
        if len > 0 && (old || long) {
            self.rotate(now)?;
        }
        self.current(now)
    }

    /// The file at the path. Another program may have moved or removed the open
    /// one since the last batch, so the path is looked up each time.
    fn current(&mut self, now: Now) -> Result<&mut OpenFile, WriteError> {
        let path = &self.config.path;
        let still_there = match &self.open {
            Some(open) => open.is_at(path).map_err(WriteError::io("look up", path))?,
            None => false,
        };
        let open = match self.open.take() {
            Some(open) if still_there => open,
            Some(moved) => {
                log::info!(path:% = path.display(); "file was moved or removed, creating a new one");
                drop(moved);
                OpenFile::open(path, now)?
            }
            None => OpenFile::open(path, now)?,
        };
        Ok(self.open.insert(open))
    }

    /// Renames the file and opens a new one at the path.
    fn rotate(&mut self, now: Now) -> Result<(), WriteError> {
        let path = &self.config.path;
        let failed = || WriteError::io("rotate", path);
        let rotated = rotation::next_name(path, now.wall).map_err(failed())?;
        fs::rename(path, &rotated).map_err(failed())?;
        // The rename needs no sync of its own: opening the next file syncs the
        // folder, which makes both names durable. Until then the batch that
        // waits is not written, so a crash loses nothing.
        self.open = None;
        self.open = Some(OpenFile::open(path, now)?);
        log::info!(path:% = path.display(), rotated:% = rotated.display(); "file rotated");
        if let Some(keep) = self.config.keep
            && let Err(error) = rotation::remove_oldest(path, keep)
        {
            log::warn!(path:% = path.display(), error:%; "cannot remove rotated files beyond `keep`, trying again at the next rotation");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
