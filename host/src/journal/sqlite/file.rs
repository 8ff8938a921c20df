//! A journal's file: opening it, its stamp, and what happens when it is damaged.
//!
//! A damaged file is moved aside, never deleted: what it held is said in the
//! log, the cursors that can still be read go on in a new file behind the
//! highest number given, and what they had pending counts as dropped.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::super::error::OpenError;
use super::space::Space;
use super::work;
use crate::sqlite::{BUSY_TIMEOUT, Database, DatabaseError, FailureKind};

pub(super) const JOURNAL: Database = Database {
    name: "journal",
    schema: include_str!("schema.sql"),
    application_id: 1_145_849_418,
    version: 1,
    tables: &["batches", "cursors", "totals", "ahead"],
    create_pragmas: "PRAGMA auto_vacuum = INCREMENTAL;",
    pragmas: "PRAGMA journal_size_limit = 67108864; PRAGMA secure_delete = OFF;",
};
const STATEMENTS: usize = 48;

/// Opens a journal's file for writing, and makes it if it is missing. A damaged one
/// is replaced. A new one numbers from `head` on: who reads knows those numbers.
/// A full disk costs the reserve: what the log holds must get into the file.
pub(super) fn open(path: &Path, head: u64, space: &mut Space) -> Result<Connection, OpenError> {
    match connect(path) {
        Ok(connection) => {
            number_from(&connection, head).map_err(|error| JOURNAL.error(path, error))?;
            Ok(connection)
        }
        Err(error) => match error.kind() {
            FailureKind::Damaged => replace(path, head, &error),
            FailureKind::Full if space.release_reserve() => open(path, head, space),
            FailureKind::Full | FailureKind::Other => Err(error.into()),
        },
    }
}

/// Moves a damaged file aside and makes a new one that numbers from `head` on.
pub(super) fn replace(
    path: &Path,
    head: u64,
    damage: &dyn std::fmt::Display,
) -> Result<Connection, OpenError> {
    let aside = JOURNAL.move_aside(path)?;
    log::error!(journal:% = path.display(), moved_to:% = aside.display(), error:% = damage; "journal is damaged and was moved aside");
    let connection = connect(path)?;
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
            number_from(&connection, head).map_err(|error| JOURNAL.error(path, error))?;
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

fn connect(path: &Path) -> Result<Connection, DatabaseError> {
    let (connection, ()) = JOURNAL.open(path, |connection| {
        // After a failed sync the system may regard pages as written that are not. A full
        // checkpoint writes the content of the log again and syncs it.
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        work::head(connection).map(drop)
    })?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
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
