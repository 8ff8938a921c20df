//! What the host's SQLite files have in common: a schema and a stamp, by which
//! a file of another program or another version is known, and what is done with
//! a damaged one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, Error, ErrorCode, ffi};

use crate::clock::now_ms;

/// What a file is known by.
pub(crate) struct Kind {
    /// What makes a new one; it sets the stamp too.
    pub(crate) schema: &'static str,
    pub(crate) application_id: i64,
    pub(crate) version: i64,
    /// Tables by which a file is known that has lost its stamp: it is damaged.
    pub(crate) tables: &'static [&'static str],
}

/// Why a file was not opened.
pub(crate) enum Refusal {
    Store(Error),
    /// It is of another program.
    Foreign,
    /// It is of another version of the host.
    Version(i64),
}

impl Kind {
    /// Makes the tables in a new file, after those pragmas; in another one, looks
    /// whether they are these.
    pub(crate) fn prepare(
        &self,
        connection: &mut Connection,
        pragmas: &str,
    ) -> Result<(), Refusal> {
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables > 0 {
            return self.check(connection);
        }
        connection.execute_batch(pragmas)?;
        let transaction = connection.transaction()?;
        transaction.execute_batch(self.schema)?;
        Ok(transaction.commit()?)
    }

    fn check(&self, connection: &Connection) -> Result<(), Refusal> {
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        if pragma("application_id")? != self.application_id {
            if self.has_tables(connection)? {
                let corrupt = ffi::Error::new(ffi::SQLITE_CORRUPT);
                return Err(Error::SqliteFailure(corrupt, None).into());
            }
            return Err(Refusal::Foreign);
        }
        match pragma("user_version")? {
            version if version == self.version => Ok(()),
            found => Err(Refusal::Version(found)),
        }
    }

    fn has_tables(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let mut find = connection.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?1")?;
        for table in self.tables {
            if !find.exists([table])? {
                return Ok(false);
            }
        }
        Ok(!self.tables.is_empty())
    }
}

/// Whether the file is damaged: it cannot be read, or holds what was never written.
pub(crate) fn is_damage(error: &Error) -> bool {
    match error {
        Error::Utf8Error(..)
        | Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..) => true,
        _ => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ),
    }
}

/// Renames a damaged file and its companions, so that they still open as one
/// database; says what it is called now.
pub(crate) fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = with_suffix(path, &format!(".corrupt-{}", now_ms()));
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

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}
