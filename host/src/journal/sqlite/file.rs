//! A lane's file: opening it, its stamp, and what happens when it is damaged.
//!
//! A damaged file is moved aside, never deleted: what it held is said in the
//! log, the cursors that can still be read go on in a new file behind the
//! highest number given, and what they had pending counts as dropped.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use super::super::error::OpenError;
use super::space::Space;
use super::work;

const APPLICATION_ID: i64 = 1_145_849_418;
const VERSION: i64 = 1;
const SCHEMA: &str = include_str!("schema.sql");
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const STATEMENTS: usize = 48;

/// What kind of failure the store met, as far as it changes what is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The disk is full.
    Full,
    /// The file is damaged.
    Damaged,
    /// Anything else: the file is opened again.
    Other,
}

impl Failure {
    pub(super) fn of(error: &rusqlite::Error) -> Self {
        use rusqlite::Error;
        if let Error::Utf8Error(..)
        | Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..) = error
        {
            // Such a value was never written.
            return Self::Damaged;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged,
            // The store's list of codes may grow; to open the file again harms nothing.
            Some(_) | None => Self::Other,
        }
    }
}

/// Why a file was not opened.
enum Refusal {
    Store(rusqlite::Error),
    Foreign,
    Version(i64),
}

/// Opens a lane's file for writing, and makes it if it is missing. A damaged one
/// is replaced. A new one numbers from `head` on: who reads knows those numbers.
/// A full disk costs the reserve: what the log holds must get into the file.
pub(super) fn open(path: &Path, head: u64, space: &mut Space) -> Result<Connection, OpenError> {
    match connect(path) {
        Ok(connection) => {
            number_from(&connection, head).map_err(|error| unusable(path, &error))?;
            Ok(connection)
        }
        Err(Refusal::Store(error)) if Failure::of(&error) == Failure::Damaged => {
            replace(path, head, &error)
        }
        Err(Refusal::Store(error))
            if Failure::of(&error) == Failure::Full && space.release_reserve() =>
        {
            open(path, head, space)
        }
        Err(refusal) => Err(refusal.at(path)),
    }
}

/// Moves a damaged file aside and makes a new one that numbers from `head` on.
pub(super) fn replace(
    path: &Path,
    head: u64,
    damage: &rusqlite::Error,
) -> Result<Connection, OpenError> {
    let aside = move_aside(path).map_err(|error| unusable(path, &error))?;
    log::error!(journal:% = path.display(), moved_to:% = aside.display(), error:% = damage; "journal is damaged and was moved aside");
    let connection = connect(path).map_err(|refusal| refusal.at(path))?;
    match super::salvage::take_over(&connection, &aside, head) {
        Ok(lost) if lost.is_empty() => {
            log::warn!(journal:% = path.display(); "nothing that was pending is lost with the damaged journal");
        }
        Ok(lost) => {
            for (exporter, items) in lost {
                log::error!(exporter, items; "items were lost with the damaged journal");
            }
        }
        Err(error) => {
            log::error!(journal:% = path.display(), error:% = error; "nothing of the damaged journal can be read, its pending items are lost");
            number_from(&connection, head).map_err(|error| unusable(path, &error))?;
        }
    }
    Ok(connection)
}

/// Opens a lane's file for reading.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

fn connect(path: &Path) -> Result<Connection, Refusal> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;")?;
        let transaction = connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.commit()?;
    } else {
        check_stamp(&connection)?;
    }
    // Temporary files would need the disk when it is full.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;
         PRAGMA secure_delete = OFF; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;",
    )?;
    // After a failed sync the system may take pages for written that are not.
    // A full checkpoint writes what the log holds once more and syncs it.
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    work::head(&connection)?;
    Ok(connection)
}

fn check_stamp(connection: &Connection) -> Result<(), Refusal> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("application_id")? != APPLICATION_ID {
        // With our tables in it, it is a journal whose head is damaged.
        let ours: i64 = connection.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name IN ('batches', 'cursors', 'totals', 'ahead')",
            [],
            |row| row.get(0),
        )?;
        if ours == 4 {
            let corrupt = ffi::Error::new(ffi::SQLITE_CORRUPT);
            return Err(rusqlite::Error::SqliteFailure(corrupt, None).into());
        }
        return Err(Refusal::Foreign);
    }
    match pragma("user_version")? {
        VERSION => Ok(()),
        found => Err(Refusal::Version(found)),
    }
}

/// Renames the file and its companions, so that they still open as one database.
fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = with_suffix(path, &format!(".corrupt-{}", super::now_ms()));
    for companion in ["", "-wal", "-shm"] {
        match fs::rename(with_suffix(path, companion), with_suffix(&aside, companion)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Sees to it that the next record gets a number above `head`.
pub(super) fn number_from(connection: &Connection, head: u64) -> rusqlite::Result<()> {
    if work::head(connection)? >= head {
        return Ok(());
    }
    let known = connection.execute(
        "UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'batches'",
        [head],
    )?;
    if known == 0 {
        connection.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('batches', ?1)",
            [head],
        )?;
    }
    Ok(())
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> OpenError {
    OpenError::File {
        path: path.to_path_buf(),
        reason: error.to_string(),
    }
}

impl Refusal {
    fn at(self, path: &Path) -> OpenError {
        let path = path.to_path_buf();
        match self {
            Self::Store(error) => unusable(&path, &error),
            Self::Foreign => OpenError::Foreign { path },
            Self::Version(found) => OpenError::Version {
                path,
                found,
                wanted: VERSION,
            },
        }
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error)
    }
}
