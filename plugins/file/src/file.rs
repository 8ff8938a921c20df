//! The file that lines are appended to, and when it is set aside.
//!
//! Promises: what [`LinesFile::append`] has appended is on the disk, in one
//! file; what failed is taken back. Files that others move or remove are
//! noticed before anything is written, and nobody else's file is ever removed.
//!
//! Knows nothing of batches.

mod open;
mod rotated;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use delfin_plugin_api::log;

use self::open::OpenFile;
use crate::config::Config;

/// A file of lines.
pub(crate) struct LinesFile {
    config: Config,
    open: Option<OpenFile>,
}

/// Why lines cannot be appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// There is something else at the path.
    #[error("`{}` is {found}, not a regular file (name another path)", path.display())]
    NotAFile { path: PathBuf, found: &'static str },
    /// Another exporter, of this host or another one, has it.
    #[error("`{}` is written by another exporter (give each a path of its own)", path.display())]
    Shared { path: PathBuf },
    /// What follows the last newline was not written by an exporter.
    #[error(
        "`{}` does not end with a whole line, and its end is not one of an exporter's \
         (name another path, or end the last line)",
        path.display()
    )]
    Foreign { path: PathBuf },
    /// Nothing but other settings or other permissions will help.
    #[error(
        "cannot {action} `{}`: {reason} (let the host's user write there, or name another path)",
        path.display()
    )]
    Refused {
        action: &'static str,
        path: PathBuf,
        reason: io::Error,
    },
    /// It may work later.
    #[error("cannot {action} `{}`: {reason}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        reason: io::Error,
    },
}

impl LinesFile {
    /// Opens the file, creates it if need be, and mends its end.
    pub(crate) fn open(config: Config) -> Result<Self, FileError> {
        let open = OpenFile::open(&config.path)?;
        Ok(Self {
            open: Some(open),
            config,
        })
    }

    /// Appends what `write` writes, all of it or nothing.
    pub(crate) fn append<T>(
        &mut self,
        now: SystemTime,
        write: impl FnOnce(&File) -> io::Result<T>,
    ) -> Result<T, FileError> {
        let appended = self.ready(now)?.append(now, write);
        appended.map_err(FileError::of("append to", &self.config.path))
    }

    /// Sets the file aside if it is time to.
    pub(crate) fn tick(&mut self, now: SystemTime) -> Result<(), FileError> {
        self.ready(now).map(drop)
    }

    /// Lets others have the file.
    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    /// The file at the path, whole and not due to be set aside.
    fn ready(&mut self, now: SystemTime) -> Result<&mut OpenFile, FileError> {
        let Config {
            rotate_bytes,
            rotate_age,
            ..
        } = self.config;
        let open = self.current()?;
        let len = open.take_back().and_then(|()| open.len());
        let old = rotate_age.is_some_and(|limit| open.age(now) >= limit);
        let len = len.map_err(FileError::of("mend", &self.config.path))?;
        let long = rotate_bytes.is_some_and(|limit| len >= limit);
        if len > 0 && (old || long) {
            self.set_aside(now)?;
        }
        self.current()
    }

    /// The file at the path, opened unless it is open.
    fn current(&mut self) -> Result<&mut OpenFile, FileError> {
        let path = &self.config.path;
        let still_there = match &self.open {
            Some(open) => open.is_at(path).map_err(FileError::of("look at", path))?,
            None => false,
        };
        let open = match self.open.take() {
            Some(open) if still_there => open,
            Some(moved) => {
                log::info!(path:% = path.display(); "file was moved away or removed, a new one is begun");
                drop(moved);
                OpenFile::open(path)?
            }
            None => OpenFile::open(path)?,
        };
        Ok(self.open.insert(open))
    }

    fn set_aside(&mut self, now: SystemTime) -> Result<(), FileError> {
        let path = &self.config.path;
        let failed = || FileError::of("set aside", path);
        let aside = rotated::next_name(path, now).map_err(failed())?;
        fs::rename(path, &aside).map_err(failed())?;
        // Opening the next file makes the new names durable, both of them.
        self.open = None;
        self.open = Some(OpenFile::open(path)?);
        log::info!(path:% = path.display(), aside:% = aside.display(); "file set aside");
        if let Some(keep) = self.config.keep
            && let Err(error) = rotated::remove_oldest(path, keep)
        {
            log::warn!(path:% = path.display(), error:%; "files beyond `keep` cannot be removed yet");
        }
        Ok(())
    }
}

impl FileError {
    /// What an I/O error means: whether it can pass on its own.
    fn of(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |reason| {
            let path = path.to_path_buf();
            let lasting = matches!(
                reason.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::NotFound
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::IsADirectory
                    | io::ErrorKind::InvalidFilename
            );
            if lasting {
                Self::Refused {
                    action,
                    path,
                    reason,
                }
            } else {
                Self::Io {
                    action,
                    path,
                    reason,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
