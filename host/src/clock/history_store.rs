//! Where the history of a clock is between two runs of the host.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    platform::rename,
    postgres::{DatabaseFailure, FencedDatabase},
    regular_file,
    write_guard::WRITE_GUARD,
};

/// Stores a history as text. `Debug` shows where.
pub trait HistoryStore: fmt::Debug + Send {
    /// The history; `None` before the first one.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    fn read(&self) -> io::Result<Option<String>>;

    /// Replaces the history. A crash leaves the old one or the new one.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    fn write(&self, history: &str) -> io::Result<()>;
}

/// A file of the state folder.
#[derive(Debug)]
pub struct HistoryFile(PathBuf);

impl HistoryFile {
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl HistoryStore for HistoryFile {
    fn read(&self) -> io::Result<Option<String>> {
        match regular_file::read(&self.0) {
            Ok(content) => {
                let text = String::from_utf8(content);
                text.map(Some)
                    .map_err(|_| io::ErrorKind::InvalidData.into())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, history: &str) -> io::Result<()> {
        let new = self.0.with_extension("new");
        // What is in its place is not followed: it may be a symbolic link.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = File::create_new(&new)?;
        file.write_all(history.as_bytes())?;
        file.sync_all()?;
        WRITE_GUARD.check()?;
        rename(&new, &self.0)
    }
}

/// The database of a cluster, so that the hosts of the cluster have one history.
#[derive(Debug)]
pub struct DatabaseHistory {
    database: Arc<FencedDatabase>,
    /// As it was when the store was opened.
    history: Option<String>,
}

impl DatabaseHistory {
    /// # Errors
    ///
    /// The history cannot be read. To go on with an empty one would replace that of all hosts.
    pub fn open(database: Arc<FencedDatabase>) -> Result<Self, DatabaseFailure> {
        const READ: &str = "SELECT clock FROM delfin_states WHERE lease = $1";
        let read = database
            .read(async |client, lease| Ok(client.query_one(READ, &[&lease]).await?.get(0)));
        Ok(Self {
            history: read?,
            database,
        })
    }
}

impl HistoryStore for DatabaseHistory {
    fn read(&self) -> io::Result<Option<String>> {
        Ok(self.history.clone())
    }

    fn write(&self, history: &str) -> io::Result<()> {
        const WRITE: &str = "UPDATE delfin_states SET clock = $2 WHERE lease = $1";
        let written = self
            .database
            .execute(WRITE, vec![Box::new(history.to_owned())]);
        written.map(drop).map_err(io::Error::other)
    }
}
