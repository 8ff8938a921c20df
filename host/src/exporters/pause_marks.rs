//! Which exporters an operator pauses. A pause is kept over restarts.
//!
//! In a state folder, it is a file without content for each, so that nothing in it can be damaged.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    platform::{OpenRestricted, sync_folder},
    postgres::{DatabaseFailure, FencedDatabase},
    write_guard::WRITE_GUARD,
};

/// The marks of paused exporters. Changes block on the disk or on the database.
#[derive(Clone, Debug)]
pub struct PauseMarks(MarkPlace);

/// Why a mark was not changed.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    #[error(transparent)]
    File(#[from] io::Error),
    /// The reason names the database of the cluster.
    #[error(transparent)]
    Database(#[from] DatabaseFailure),
}

#[derive(Clone, Debug)]
enum MarkPlace {
    Folder(PathBuf),
    Database {
        database: Arc<FencedDatabase>,
        /// As in the database.
        paused: Arc<Mutex<BTreeSet<String>>>,
    },
}

impl PauseMarks {
    /// The marks in a state folder.
    #[must_use]
    pub fn in_folder(state_dir: &Path) -> Self {
        Self(MarkPlace::Folder(state_dir.join("paused")))
    }

    /// The marks in the database of a cluster.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn in_database(database: Arc<FencedDatabase>) -> Result<Self, DatabaseFailure> {
        const LIST: &str = "SELECT exporter FROM delfin_paused_exporters WHERE lease = $1";
        let paused = database.read(async |client, lease| {
            let rows = client.query(LIST, &[&lease]).await?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        })?;
        Ok(Self(MarkPlace::Database {
            database,
            paused: Arc::new(Mutex::new(paused)),
        }))
    }

    /// Whether an exporter is paused. What cannot be known counts as a pause: nothing is lost by
    /// one.
    pub(super) fn contains(&self, exporter: &str) -> bool {
        match &self.0 {
            MarkPlace::Folder(folder) => folder.join(exporter).try_exists().unwrap_or_else(|error| {
                log::error!(exporter = exporter, error:%; "cannot find out whether an operator pauses the exporter, so it is paused");
                true
            }),
            MarkPlace::Database { paused, .. } => lock(paused).contains(exporter),
        }
    }

    pub(super) fn add(&self, exporter: &str) -> Result<(), MarkError> {
        const ADD: &str =
            "INSERT INTO delfin_paused_exporters VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let folder = match &self.0 {
            MarkPlace::Folder(folder) => folder,
            MarkPlace::Database { database, paused } => {
                database.execute(ADD, vec![Box::new(exporter.to_owned())])?;
                lock(paused).insert(exporter.to_owned());
                return Ok(());
            }
        };
        WRITE_GUARD.check()?;
        fs::create_dir_all(folder)?;
        OpenOptions::new()
            .append(true)
            .create(true)
            .open_no_follow(&folder.join(exporter))?;
        Ok(sync(folder)?)
    }

    /// Removes a mark, if it exists.
    pub(super) fn remove(&self, exporter: &str) -> Result<(), MarkError> {
        const REMOVE: &str =
            "DELETE FROM delfin_paused_exporters WHERE lease = $1 AND exporter = $2";
        let folder = match &self.0 {
            MarkPlace::Folder(folder) => folder,
            MarkPlace::Database { database, paused } => {
                database.execute(REMOVE, vec![Box::new(exporter.to_owned())])?;
                lock(paused).remove(exporter);
                return Ok(());
            }
        };
        WRITE_GUARD.check()?;
        match fs::remove_file(folder.join(exporter)) {
            Ok(()) => Ok(sync(folder)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    sync_folder(folder)?;
    folder.parent().map_or(Ok(()), sync_folder)
}

fn lock(paused: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    paused.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::testing::TestLease;

    #[test]
    fn a_mark_is_kept_until_it_is_removed_and_both_can_be_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let marks = PauseMarks::in_folder(folder.path());
        assert!(!marks.contains("a"));
        marks.remove("a").unwrap();
        for _ in 0..2 {
            marks.add("a").unwrap();
        }
        let again = PauseMarks::in_folder(folder.path());
        assert!(again.contains("a") && !again.contains("b"));
        for _ in 0..2 {
            marks.remove("a").unwrap();
        }
        assert!(!again.contains("a"));
    }

    #[test]
    fn a_mark_in_the_database_is_kept_for_the_next_owner_and_a_former_one_changes_none() {
        let Some(lease) = TestLease::new() else {
            return;
        };
        let marks = |epoch| PauseMarks::in_database(Arc::new(lease.owner(epoch).unwrap())).unwrap();
        let former = marks(1);
        for _ in 0..2 {
            former.add("a").unwrap();
        }
        let owner = marks(2);
        assert!(owner.contains("a") && !owner.contains("b"));
        let late = former.remove("a").unwrap_err();
        assert!(matches!(late, MarkError::Database(_)), "{late}");
        assert!(former.contains("a"));
        for _ in 0..2 {
            owner.remove("a").unwrap();
        }
        assert!(!owner.contains("a") && !marks(2).contains("a"));
    }

    #[test]
    fn a_symbolic_link_in_the_place_of_a_mark_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        fs::write(&target, "precious").unwrap();
        fs::create_dir(folder.path().join("paused")).unwrap();
        std::os::unix::fs::symlink(&target, folder.path().join("paused/a")).unwrap();
        let marks = PauseMarks::in_folder(folder.path());
        assert!(marks.add("a").is_err());
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    }
}
