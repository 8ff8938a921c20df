//! Which exporters an operator pauses: a file without content for each, so that a pause is
//! kept over restarts, and nothing in it can be damaged.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use crate::{
    platform::{OpenRestricted, sync_folder},
    write_guard::WRITE_GUARD,
};

/// The marks in a state folder.
#[derive(Clone, Debug)]
pub(super) struct PauseMarks(PathBuf);

impl PauseMarks {
    pub(super) fn new(state_dir: &Path) -> Self {
        Self(state_dir.join("paused"))
    }

    /// Whether an exporter is paused. What cannot be known counts as a pause: nothing is lost by
    /// one.
    pub(super) fn contains(&self, exporter: &str) -> bool {
        self.0.join(exporter).try_exists().unwrap_or_else(|error| {
            log::error!(exporter = exporter, error:%; "cannot find out whether an operator pauses the exporter, so it is paused");
            true
        })
    }

    pub(super) fn add(&self, exporter: &str) -> io::Result<()> {
        WRITE_GUARD.check()?;
        fs::create_dir_all(&self.0)?;
        OpenOptions::new()
            .append(true)
            .create(true)
            .open_no_follow(&self.0.join(exporter))?;
        self.sync()
    }

    /// Removes a mark, if it exists.
    pub(super) fn remove(&self, exporter: &str) -> io::Result<()> {
        WRITE_GUARD.check()?;
        match fs::remove_file(self.0.join(exporter)) {
            Ok(()) => self.sync(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn sync(&self) -> io::Result<()> {
        sync_folder(&self.0)?;
        self.0.parent().map_or(Ok(()), sync_folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_kept_until_it_is_removed_and_both_can_be_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let marks = PauseMarks::new(folder.path());
        assert!(!marks.contains("a"));
        marks.remove("a").unwrap();
        for _ in 0..2 {
            marks.add("a").unwrap();
        }
        let again = PauseMarks::new(folder.path());
        assert!(again.contains("a") && !again.contains("b"));
        for _ in 0..2 {
            marks.remove("a").unwrap();
        }
        assert!(!again.contains("a"));
    }

    #[test]
    fn a_symbolic_link_in_the_place_of_a_mark_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        fs::write(&target, "precious").unwrap();
        fs::create_dir(folder.path().join("paused")).unwrap();
        std::os::unix::fs::symlink(&target, folder.path().join("paused/a")).unwrap();
        let marks = PauseMarks::new(folder.path());
        assert!(marks.add("a").is_err());
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    }
}
