//! Opens the SQLite files of the host.
//!
//! A [`Database`] describes one kind of file. Opening creates a missing file, and refuses a
//! file of another program or of another schema version. A damaged file can be moved aside;
//! it is never deleted.
//!
//! Knows nothing of what the files contain.

mod open_files;
mod reader;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, Error, ErrorCode, OpenFlags, config::DbConfig, ffi};

pub(crate) use self::{open_files::OpenFiles, reader::integrity};
use crate::{
    clock::now_ms,
    platform::{read_at, rename, sync_folder},
    write_guard::WRITE_GUARD,
};

/// How long a statement waits for a lock of another connection.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Suffix of the write-ahead log of a file.
pub(crate) const LOG: &str = "-wal";
/// Suffixes of the files that together are one database.
const COMPANIONS: [&str; 3] = ["", LOG, "-shm"];
const READ_BYTES: usize = 1 << 20;

/// For each connection. Temporary files would need the disk when it is full, and a memory map
/// turns an unreadable disk into a signal instead of an error.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA mmap_size = 0;
     PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;";

/// A kind of file: its schema, and how the host recognizes it.
pub(crate) struct Database {
    /// The name in messages, such as `journal`.
    pub(crate) name: &'static str,
    /// Creates the tables, and sets application id and version.
    pub(crate) schema: &'static str,
    pub(crate) application_id: i64,
    pub(crate) version: i64,
    /// What takes a file from version 1 to 2, from 2 to 3, and so on, without the version itself.
    /// A new file gets those that its schema does not have.
    pub(crate) migrations: &'static [&'static str],
    /// A file with these tables that lost its application id is damaged, not foreign. Empty: it
    /// is foreign.
    pub(crate) tables: &'static [&'static str],
    /// Pragmas that take effect only before the first table exists.
    pub(crate) create_pragmas: &'static str,
    /// Further pragmas for each connection.
    pub(crate) pragmas: &'static str,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("cannot use {name} `{}`: {error} (check its owner, its access rights and its disk)", path.display())]
    File {
        name: &'static str,
        path: PathBuf,
        error: Error,
    },
    #[error("cannot rename the damaged {name} `{}` (check its folder, and its disk)", path.display())]
    MoveAside {
        name: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The disk cannot read the file, so it is unknown whether the file is damaged.
    #[error("cannot use the file of {name} `{}` (check its disk)", path.display())]
    Unreadable {
        name: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// Another program wrote the file.
    #[error(
        "`{}` is not {} {name} of delfin-host (move it away, or set another `state_dir`)",
        path.display(),
        article(name)
    )]
    Foreign { name: &'static str, path: PathBuf },
    /// A host with another schema version wrote the file.
    #[error(
        "{name} `{}` has schema version {found}, this host needs {wanted} \
         (run the host that wrote it, restore a copy from before with `delfin-host state restore`, \
         or set another `state_dir`)",
        path.display()
    )]
    Version {
        name: &'static str,
        path: PathBuf,
        found: i64,
        wanted: i64,
    },
}

/// The kinds of SQLite errors that the host handles in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The disk is full.
    Full,
    /// The file is damaged: it cannot be read, or contains values that the host never wrote.
    Damaged,
    Other,
}

impl Database {
    /// Opens a file for reading and writing, and reads with `load` what the caller needs first.
    /// Creates a missing file.
    pub(crate) fn open<T>(
        &self,
        path: &Path,
        load: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<(Connection, T), DatabaseError> {
        let failed = |error| self.error(path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        // SQLite asks this after it has its lock, and before it writes what makes the transaction valid. So what
        // is committed was allowed then, and the next process to write waits for it.
        let is_refused = || !WRITE_GUARD.is_open();
        connection.commit_hook(Some(is_refused)).map_err(failed)?;
        let checkpoint_on_close = |connection: &Connection, on: bool| {
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !on)
        };
        // The log of a file that is refused or damaged is not written into the file.
        checkpoint_on_close(&connection, false).map_err(failed)?;
        // A file of another program must not change, so this comes before the pragmas.
        if is_new(&connection).map_err(failed)? {
            self.create(&mut connection).map_err(failed)?;
        } else {
            self.check(path, &connection)?;
        }
        connection.execute_batch(PRAGMAS).map_err(failed)?;
        connection.execute_batch(self.pragmas).map_err(failed)?;
        let loaded = load(&connection).map_err(failed)?;
        checkpoint_on_close(&connection, true).map_err(failed)?;
        Ok((connection, loaded))
    }

    /// Whether a file has no tables yet. Changes nothing.
    pub(crate) fn is_new(&self, path: &Path) -> Result<bool, DatabaseError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(path, flags)
            .and_then(|connection| is_new(&connection))
            .map_err(|error| self.error(path, error))
    }

    /// Renames a damaged file. Returns the new path.
    pub(crate) fn move_aside(&self, path: &Path) -> Result<PathBuf, DatabaseError> {
        let aside = with_suffix(path, &format!(".corrupt-{}", now_ms()));
        self.rename(path, &aside)?;
        Ok(aside)
    }

    /// Renames a file and its companions in the same way, so that they still open as one
    /// database.
    pub(crate) fn rename(&self, path: &Path, to: &Path) -> Result<(), DatabaseError> {
        let rename_all = || {
            for companion in COMPANIONS {
                match rename(&with_suffix(path, companion), &with_suffix(to, companion)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    Ok(()) | Err(_) => {}
                }
            }
            path.parent().map_or(Ok(()), sync_folder)
        };
        rename_all().map_err(|source| DatabaseError::MoveAside {
            name: self.name,
            path: path.to_path_buf(),
            source,
        })
    }

    /// Removes a file and its companions, if they exist.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), DatabaseError> {
        for companion in COMPANIONS {
            match fs::remove_file(with_suffix(path, companion)) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(self.unreadable(path, source));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Reads the whole file and its log, past SQLite: an error is one of the disk. SQLite
    /// reports a failed read as damage. No connection may be open: the end of this call
    /// releases its locks.
    pub(crate) fn check_disk(&self, path: &Path) -> Result<(), DatabaseError> {
        for companion in ["", LOG] {
            let read = File::open(with_suffix(path, companion)).and_then(|file| read_all(&file));
            match read {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(self.unreadable(path, source));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// An error of the disk with the file that it is about.
    pub(crate) fn unreadable(&self, path: &Path, source: io::Error) -> DatabaseError {
        DatabaseError::Unreadable {
            name: self.name,
            path: path.to_path_buf(),
            source,
        }
    }

    /// An error of SQLite with the file that it is about.
    pub(crate) fn error(&self, path: &Path, error: Error) -> DatabaseError {
        DatabaseError::File {
            name: self.name,
            path: path.to_path_buf(),
            error,
        }
    }

    fn create(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        connection.execute_batch(self.create_pragmas)?;
        // The mode is a property of the file. Set it before the first transaction, so that the
        // schema is durable like everything after it.
        connection.execute_batch("PRAGMA journal_mode = WAL")?;
        let transaction = connection.transaction()?;
        transaction.execute_batch(self.schema)?;
        let steps = self.missing_steps(version_of(&transaction)?);
        transaction.execute_batch(&steps.unwrap_or_default())?;
        transaction.commit()
    }

    fn check(&self, path: &Path, connection: &Connection) -> Result<(), DatabaseError> {
        let found = self.identify(path, connection)?;
        if found == self.version {
            return Ok(());
        }
        let steps = self.steps_from(path, found)?;
        let script = format!("BEGIN; {steps} COMMIT;");
        let migrated = connection.execute_batch(&script);
        migrated.map_err(|error| self.error(path, error))
    }

    /// The schema version of a file, which must be of this kind.
    fn identify(&self, path: &Path, connection: &Connection) -> Result<i64, DatabaseError> {
        let failed = |error| self.error(path, error);
        let application_id = pragma(connection, "application_id");
        if application_id.map_err(failed)? != self.application_id {
            if self.has_tables(connection).map_err(failed)? {
                let corrupt = ffi::Error::new(ffi::SQLITE_CORRUPT);
                return Err(failed(Error::SqliteFailure(corrupt, None)));
            }
            return Err(DatabaseError::Foreign {
                name: self.name,
                path: path.to_path_buf(),
            });
        }
        version_of(connection).map_err(failed)
    }

    fn steps_from(&self, path: &Path, found: i64) -> Result<String, DatabaseError> {
        self.missing_steps(found)
            .ok_or_else(|| DatabaseError::Version {
                name: self.name,
                path: path.to_path_buf(),
                found,
                wanted: self.version,
            })
    }

    /// The script that brings an older file to the current version. None if there is no way.
    fn missing_steps(&self, found: i64) -> Option<String> {
        let steps = self.migrations.get(usize::try_from(found - 1).ok()?..)?;
        let (steps, version) = (steps.concat(), self.version);
        Some(format!("{steps} PRAGMA user_version = {version};"))
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

impl DatabaseError {
    /// The kind of the SQLite error; `Other` for a file that was refused.
    pub(crate) fn kind(&self) -> FailureKind {
        match self {
            Self::File { error, .. } => FailureKind::of(error),
            Self::MoveAside { .. }
            | Self::Unreadable { .. }
            | Self::Foreign { .. }
            | Self::Version { .. } => FailureKind::Other,
        }
    }
}

impl FailureKind {
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            // The schema is strict, so these come from a damaged file only.
            Error::Utf8Error(..)
            | Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..) => Self::Damaged,
            _ => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged,
                Some(ErrorCode::DiskFull) => Self::Full,
                // New codes of SQLite are neither of the two.
                Some(_) | None => Self::Other,
            },
        }
    }
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

fn version_of(connection: &Connection) -> rusqlite::Result<i64> {
    pragma(connection, "user_version")
}

fn is_new(connection: &Connection) -> rusqlite::Result<bool> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables == 0)
}

/// Reads a file from its start to its end.
pub(crate) fn read_all(file: &File) -> io::Result<()> {
    let (mut buffer, mut at) = (vec![0; READ_BYTES], 0);
    loop {
        match read_at(file, &mut buffer, at) {
            Ok(0) => return Ok(()),
            Ok(read) => at += read as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Appends to the name of a file.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}
