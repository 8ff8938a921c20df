//! Reads a file that a host may have open: its version, its soundness, and a copy of it.
//!
//! Other connections read and write meanwhile. Nothing is written to the file, so a host that has
//! it open does not notice.

use std::{fs, path::Path, thread, time::Duration};

use rusqlite::{Connection, Error, OpenFlags, ffi};

use super::{BUSY_TIMEOUT, Database, DatabaseError, FailureKind, is_new};

/// How often the progress of a copy is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// Faults that a check lists.
const MAX_FAULTS: usize = 20;

impl Database {
    /// Opens an existing file for reading. Returns its schema version.
    pub(crate) fn open_reader(&self, path: &Path) -> Result<(Connection, i64), DatabaseError> {
        let failed = |error| self.error(path, error);
        // To open a named pipe for reading would wait for a writer.
        if !fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
            let missing = ffi::Error::new(ffi::SQLITE_CANTOPEN);
            return Err(failed(Error::SqliteFailure(missing, None)));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        let pragmas =
            "PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;";
        connection.execute_batch(pragmas).map_err(failed)?;
        if is_new(&connection).map_err(failed)? {
            return Ok((connection, self.version));
        }
        let version = self.identify(path, &connection)?;
        Ok((connection, version))
    }

    /// Whether this host migrates files of a version. An error if it cannot use them.
    pub(crate) fn is_older(&self, path: &Path, found: i64) -> Result<bool, DatabaseError> {
        if found == self.version {
            return Ok(false);
        }
        self.steps_from(path, found).map(|_| true)
    }

    /// Writes the content of one transaction of the file to a new file, without free pages and
    /// what was deleted. `progress` gets the bytes so far.
    pub(crate) fn copy(
        &self,
        path: &Path,
        to: &Path,
        progress: &dyn Fn(u64),
    ) -> Result<(), DatabaseError> {
        let (connection, _) = self.open_reader(path)?;
        let watcher = thread::current();
        let copied = thread::scope(|scope| {
            let copying = scope.spawn(move || {
                let copied = connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]);
                watcher.unpark();
                copied
            });
            while !copying.is_finished() {
                thread::park_timeout(PROGRESS_INTERVAL);
                progress(fs::metadata(to).map_or(0, |metadata| metadata.len()));
            }
            copying.join()
        });
        match copied {
            Ok(Ok(_)) => Ok(()),
            // The disk of the copy, because the file is only read.
            Ok(Err(error)) if FailureKind::of(&error) == FailureKind::Full => {
                Err(self.error(to, error))
            }
            Ok(Err(error)) => Err(self.error(path, error)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// What SQLite finds wrong in the structure of a file, one line for each fault. Damage that ends the
/// check is a fault too.
pub(crate) fn integrity(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let check = || {
        let query = format!("PRAGMA integrity_check({MAX_FAULTS})");
        let mut check = connection.prepare(&query)?;
        let lines = check.query_map([], |row| row.get(0))?;
        lines.collect::<rusqlite::Result<Vec<String>>>()
    };
    match check() {
        Ok(lines) if lines == ["ok"] => Ok(Vec::new()),
        Ok(results) => Ok(one_fault_a_line(&results)),
        Err(error) if FailureKind::of(&error) == FailureKind::Damaged => {
            Ok(vec![error.to_string()])
        }
        Err(error) => Err(error),
    }
}

/// A result can have many lines, below a heading with the name of the database.
fn one_fault_a_line(results: &[String]) -> Vec<String> {
    let lines = results.iter().flat_map(|result| result.lines());
    let faults = lines.filter(|line| !line.is_empty() && !line.starts_with("***"));
    faults.take(MAX_FAULTS).map(str::to_owned).collect()
}
