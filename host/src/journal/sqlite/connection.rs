//! Connections to the file of a journal.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::loss;
use super::mark::Mark;
use crate::clock::now_ms;
use crate::sqlite::{BUSY_TIMEOUT, Database, DatabaseError, LOG, with_suffix};

/// Size of a page in a new file, as `create_pragmas` says. A transaction writes some pages that
/// have hardly changed, and the last page of each payload is half empty: small pages write less.
pub(super) const PAGE_BYTES: u64 = 2 << 10;

pub(crate) const JOURNAL: Database = Database {
    name: "journal",
    schema: include_str!("schema.sql"),
    application_id: 1_145_849_418,
    // Payloads of version 2 can have format 2, and those of versions 3 and 5 can be of several records. Older
    // hosts would take them for damaged ones.
    migrations: &["", "", include_str!("collected_windows.sql"), ""],
    version: 5,
    tables: &["batches", "cursors", "totals", "ahead"],
    create_pragmas: "PRAGMA page_size = 2048; PRAGMA auto_vacuum = INCREMENTAL;",
    pragmas: "PRAGMA wal_autocheckpoint = 2048; PRAGMA journal_size_limit = 67108864; PRAGMA secure_delete = OFF;",
};

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 48;

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

/// Opens the file for writing, and creates a missing one. Keeps a copy of a log whose end is
/// missing according to the mark.
pub(super) fn connect(path: &Path, mark: Option<&Mark>) -> Result<Connection, DatabaseError> {
    let (connection, ()) = JOURNAL.open(path, |connection| {
        if let Some(mark) = mark
            && loss::is_behind(connection, mark)?
        {
            keep_log(path);
        }
        // After a failed sync, the system may regard pages as written that are not. A
        // full checkpoint writes the content of the log again, and syncs it.
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        loss::current(connection).map(drop)
    })?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Copies the log of a journal whose end is missing: what cannot be read of it is overwritten
/// next.
fn keep_log(path: &Path) {
    let log = with_suffix(path, LOG);
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let copy = with_suffix(&log, &format!(".corrupt-{}", now_ms()));
        match fs::copy(&log, &copy) {
            Ok(_) => {
                log::error!(log:% = log.display(), copied_to:% = copy.display(); "log of the journal is damaged and was copied");
            }
            Err(error) => {
                log::error!(log:% = log.display(), error:%; "log of the journal is damaged and cannot be copied");
            }
        }
    }
}
