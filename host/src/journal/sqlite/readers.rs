//! Connections for reading while the writer thread writes.
//!
//! Each read runs in a transaction of its own on a connection of its own, and ends
//! it before it returns: SQLite cannot checkpoint its log past an open transaction.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, ErrorCode, ffi};

use super::connection::open_reader;
use crate::sqlite::OpenFiles;

/// A pool with as many connections as there were reads at the same time.
pub(super) struct ReaderPool {
    path: PathBuf,
    idle: Mutex<IdleConnections>,
}

/// A read that failed, and the generation of the file that it read.
pub(super) struct FailedRead {
    pub(super) generation: u64,
    pub(super) error: rusqlite::Error,
}

/// The writer replaces a damaged file with a new one of the same name. An open
/// connection would still read the old file. So the writer raises the generation
/// whenever the file may have changed, and a connection returns to the pool only in
/// the generation in which it was taken. The generation also tells which file a
/// reader found damaged, so that several reports replace the file once.
#[derive(Default)]
struct IdleConnections {
    generation: u64,
    /// The files of this generation; `None` while the writer has none open.
    files: Option<Arc<OpenFiles>>,
    connections: Vec<Connection>,
}

/// A connection that has opened its files: SQLite opens them with the first query.
fn open_now(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_reader(path)?;
    connection.query_row("SELECT 1 FROM totals", [], |_| Ok(()))?;
    Ok(connection)
}

impl ReaderPool {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Mutex::default(),
        }
    }

    /// Runs a query in a transaction of its own.
    pub(super) fn query<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, FailedRead> {
        let (generation, connection, files) = {
            let mut idle = self.lock();
            (idle.generation, idle.connections.pop(), idle.files.clone())
        };
        let run = || {
            let connection = match connection {
                Some(connection) => connection,
                None => self.connect(files.as_deref())?,
            };
            let transaction = connection.unchecked_transaction()?;
            let result = query(&transaction)?;
            transaction.commit()?;
            Ok((result, connection))
        };
        // A connection that failed is closed, not returned.
        let (result, connection) = run().map_err(|error| FailedRead { generation, error })?;
        let mut idle = self.lock();
        if idle.generation == generation {
            idle.connections.push(connection);
        }
        Ok(result)
    }

    /// Grows whenever the file may be another one.
    pub(super) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Whether the writer has a file open.
    pub(super) fn is_open(&self) -> bool {
        self.lock().files.is_some()
    }

    /// Closes the connections that are not in use.
    pub(super) fn close_idle(&self) {
        self.lock().connections.clear();
    }

    /// Reads the whole file. An error is one of the disk, and not damage.
    pub(super) fn check_disk(&self) -> io::Result<()> {
        let files = self.lock().files.clone();
        files.map_or(Ok(()), |files| files.check_disk())
    }

    /// The first path that does not name the open file any more.
    pub(super) fn displaced(&self) -> Option<PathBuf> {
        let files = self.lock().files.clone()?;
        files.displaced().map(Path::to_path_buf)
    }

    /// The first path whose file another program has cut off. Only for the writer.
    pub(super) fn cut_off(&self) -> Option<PathBuf> {
        let files = self.lock().files.clone()?;
        files.cut_off().map(Path::to_path_buf)
    }

    /// The first path whose file another program has written. Only for the writer.
    pub(super) fn overwritten(&self) -> Option<PathBuf> {
        let files = self.lock().files.clone()?;
        files.overwritten().map(Path::to_path_buf)
    }

    /// To be called after each transaction.
    pub(super) fn note_written(&self) {
        if let Some(files) = self.lock().files.clone() {
            files.note_written();
        }
    }

    /// Starts a new generation. It has one connection to begin with, because none can be opened
    /// after the file was removed.
    pub(super) fn reset(&self, files: Option<OpenFiles>) {
        let first = files.as_ref().map(|_| open_now(&self.path));
        let mut idle = self.lock();
        idle.generation += 1;
        idle.connections.clear();
        idle.connections.extend(first.and_then(Result::ok));
        idle.files = files.map(Arc::new);
    }

    /// A new connection, unless the path names another file than the writer has open.
    fn connect(&self, files: Option<&OpenFiles>) -> rusqlite::Result<Connection> {
        let connection = open_reader(&self.path)?;
        match files.and_then(OpenFiles::displaced) {
            None => Ok(connection),
            Some(path) => Err(rusqlite::Error::SqliteFailure(
                ffi::Error {
                    code: ErrorCode::CannotOpen,
                    extended_code: ffi::SQLITE_CANTOPEN,
                },
                Some(format!("`{}` was removed or replaced", path.display())),
            )),
        }
    }

    fn lock(&self) -> MutexGuard<'_, IdleConnections> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
