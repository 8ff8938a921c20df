//! The file of a journal: opens it, and replaces it when it is damaged.
//!
//! A damaged file is moved aside, never deleted. The new file has what can still be
//! read of it, and continues its sequence numbers.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::super::error::OpenError;
use super::disk_space::DiskSpace;
use super::numbering;
use super::salvage::salvage;
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

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 48;

/// Opens the file for writing, creates a missing one, and replaces a damaged one. The
/// next record gets a sequence number above `head`, which readers may know already.
/// On a full disk the reserve is released: SQLite must be able to move its log into
/// the file.
pub(super) fn open(path: &Path, head: u64, space: &mut DiskSpace) -> Result<Connection, OpenError> {
    match connect(path) {
        Ok(connection) => {
            continue_after(path, &connection, head)?;
            Ok(connection)
        }
        Err(error) => match error.kind() {
            FailureKind::Damaged => replace(path, head, &error),
            FailureKind::Full if space.release_reserve() => open(path, head, space),
            FailureKind::Full | FailureKind::Other => Err(error.into()),
        },
    }
}

/// Moves a damaged file aside, and creates a new one that continues after `head`.
pub(super) fn replace(
    path: &Path,
    head: u64,
    damage: &dyn std::fmt::Display,
) -> Result<Connection, OpenError> {
    let aside = JOURNAL.move_aside(path)?;
    log::error!(journal:% = path.display(), moved_to:% = aside.display(), error:% = damage; "journal is damaged and was moved aside");
    let connection = connect(path)?;
    let salvaged =
        open_reader(&aside).and_then(|damaged| salvage(&connection, damaged, &aside, head));
    match salvaged {
        Ok(lost) if lost.is_empty() => {
            log::warn!(journal:% = path.display(); "no pending items were lost with the damaged journal");
        }
        Ok(lost) => {
            for (exporter, items) in lost {
                log::error!(exporter, items; "items were lost with the damaged journal");
            }
        }
        Err(error) => {
            log::error!(journal:% = path.display(), error:% = error; "the damaged journal cannot be read: all its pending items are lost");
            continue_after(path, &connection, head)?;
        }
    }
    Ok(connection)
}

/// Opens the file for reading.
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
        // After a failed sync, the system may regard pages as written that are not. A
        // full checkpoint writes the content of the log again, and syncs it.
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        numbering::head(connection).map(drop)
    })?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

fn continue_after(path: &Path, connection: &Connection, head: u64) -> Result<(), DatabaseError> {
    numbering::continue_after(connection, head).map_err(|error| JOURNAL.error(path, error))
}
