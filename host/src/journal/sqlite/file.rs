//! A journal's file: opening it, its stamp, and what happens when it is damaged.
//!
//! A damaged file is moved aside, never deleted: what it held is said in the
//! log, the cursors that can still be read go on in a new file behind the
//! highest number given, and what they had pending counts as dropped.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::super::error::OpenError;
use super::space::Space;
use super::work;
use crate::sqlite::{self, Refusal};

const JOURNAL: sqlite::Kind = sqlite::Kind {
    schema: include_str!("schema.sql"),
    application_id: 1_145_849_418,
    version: 1,
    tables: &["batches", "cursors", "totals", "ahead"],
};
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
        if sqlite::is_damage(error) {
            return Self::Damaged;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            // The store's list of codes may grow; to open the file again harms nothing.
            Some(_) | None => Self::Other,
        }
    }
}

/// Opens a journal's file for writing, and makes it if it is missing. A damaged one
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
        Err(refusal) => Err(refused(path, refusal)),
    }
}

/// Moves a damaged file aside and makes a new one that numbers from `head` on.
pub(super) fn replace(
    path: &Path,
    head: u64,
    damage: &rusqlite::Error,
) -> Result<Connection, OpenError> {
    let aside = sqlite::move_aside(path).map_err(|error| unusable(path, &error))?;
    log::error!(journal:% = path.display(), moved_to:% = aside.display(), error:% = damage; "journal is damaged and was moved aside");
    let connection = connect(path).map_err(|refusal| refused(path, refusal))?;
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

/// Opens a journal's file for reading.
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
    JOURNAL.prepare(
        &mut connection,
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;",
    )?;
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

fn refused(path: &Path, refusal: Refusal) -> OpenError {
    let owned = path.to_path_buf();
    match refusal {
        Refusal::Store(error) => unusable(path, &error),
        Refusal::Foreign => OpenError::Foreign { path: owned },
        Refusal::Version(found) => OpenError::Version {
            path: owned,
            found,
            wanted: JOURNAL.version,
        },
    }
}
