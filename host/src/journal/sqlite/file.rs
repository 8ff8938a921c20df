//! The file of a journal: opens it, and replaces it when it is damaged.
//!
//! A damaged file is moved aside, never deleted. The new file has what can still be
//! read of it, and continues its sequence numbers.

use std::path::Path;

use rusqlite::{Connection, ffi};

use super::super::error::OpenError;
use super::connection::{JOURNAL, connect};
use super::counts::{self, CountFault};
use super::disk_space::DiskSpace;
use super::loss::{self, MissingItems};
use super::mark::Mark;
use super::numbering;
use super::salvage::{Salvaged, salvage};
use crate::sqlite::{DatabaseError, FailureKind, OpenFiles, with_suffix};

/// Suffix of a new file until the damaged one was moved aside.
const NEW: &str = ".new";

/// A file for writing, and the descriptors of it.
pub(super) struct WriterFile {
    pub(super) connection: Connection,
    pub(super) files: OpenFiles,
    /// Items that were needed and are lost.
    pub(super) lost: u64,
}

/// Opens the file for writing, creates a missing one, and replaces a damaged one. Counts what
/// is missing according to the mark. The next record gets a sequence number above `head`, which
/// readers may know already. On a full disk the reserve is released: SQLite must be able to
/// move its log into the file.
pub(super) fn open(
    path: &Path,
    head: u64,
    mark: Option<&Mark>,
    space: &mut DiskSpace,
) -> Result<WriterFile, OpenError> {
    finish_replacement(path)?;
    if mark.is_some() && !path.exists() {
        log::error!(journal:% = path.display(); "journal file is missing, a new one is created");
    }
    let connection = match connect_confirmed(path, mark) {
        Ok(connection) => connection,
        Err(error) => match error.kind() {
            FailureKind::Damaged => return replace(path, head, mark, &error),
            FailureKind::Full if space.release_reserve() => return open(path, head, mark, space),
            FailureKind::Full | FailureKind::Other => return Err(error.into()),
        },
    };
    let missing = continue_after(path, &connection, head, mark)?;
    if missing.items > 0 {
        loss::report(path, &missing);
    }
    let lost = mark.map_or(0, |mark| missing.items.min(mark.needed()));
    use_files(path, connection, lost)
}

/// Moves a damaged file aside, and creates a new one that continues after `head`.
///
/// The new file is written under another name first. So an error of the disk changes nothing,
/// and can be retried: the damaged file is still in its place.
pub(super) fn replace(
    path: &Path,
    head: u64,
    mark: Option<&Mark>,
    damage: &dyn std::fmt::Display,
) -> Result<WriterFile, OpenError> {
    let new = with_suffix(path, NEW);
    JOURNAL.check_disk(path)?;
    JOURNAL.remove(&new)?;
    let connection = connect(&new, None)?;
    let salvaged = salvage(&connection, path, mark).map_err(|error| JOURNAL.error(path, error))?;
    // What SQLite could not read must be damaged, and not only unreadable now.
    JOURNAL.check_disk(path)?;
    let missing = continue_after(&new, &connection, head, mark)?;
    connection
        .close()
        .map_err(|(_, error)| JOURNAL.error(&new, error))?;
    let aside = JOURNAL.move_aside(path)?;
    JOURNAL.rename(&new, path)?;
    log::error!(journal:% = path.display(), moved_to:% = aside.display(), error:% = damage; "journal is damaged and was moved aside");
    report(path, salvaged, &missing);
    let connection = connect(path, None)?;
    let left = loss::current(&connection).map_err(|error| JOURNAL.error(path, error))?;
    let lost = mark.map_or(0, |mark| mark.needed().saturating_sub(left.needed()));
    use_files(path, connection, lost)
}

fn report(path: &Path, salvaged: Salvaged, missing: &MissingItems) {
    match salvaged {
        Salvaged::Nothing(error) => {
            log::error!(journal:% = path.display(), error:%; "the damaged journal cannot be read: all its pending items are lost");
        }
        Salvaged::Some { lost } if lost.is_empty() && missing.items == 0 => {
            log::warn!(journal:% = path.display(); "no pending items were lost with the damaged journal");
        }
        Salvaged::Some { lost } => loss::report_lost(&lost),
    }
    if missing.items > 0 {
        loss::report(path, missing);
    }
}

/// Renames a new file that was complete when the host was killed, after the damaged one was
/// moved aside.
fn finish_replacement(path: &Path) -> Result<(), DatabaseError> {
    let new = with_suffix(path, NEW);
    if path.exists() || !new.exists() {
        return Ok(());
    }
    log::warn!(journal:% = path.display(); "using the new file of a damaged journal that was moved aside before the host ended");
    JOURNAL.rename(&new, path)
}

/// Damage is believed if new connections find it twice, and the disk can read the file: SQLite
/// reports a failed read as damage.
fn connect_confirmed(path: &Path, mark: Option<&Mark>) -> Result<Connection, DatabaseError> {
    match connect_checked(path, mark) {
        Err(error) if error.kind() == FailureKind::Damaged => {
            JOURNAL.check_disk(path)?;
            connect_checked(path, mark)
        }
        connected => connected,
    }
}

/// Damage can hit a number so that SQLite finds nothing wrong with it.
fn connect_checked(path: &Path, mark: Option<&Mark>) -> Result<Connection, DatabaseError> {
    let connection = connect(path, mark)?;
    check_counts(&connection).map_err(|error| JOURNAL.error(path, error))?;
    Ok(connection)
}

/// Fails if the counts of an exporter do not add up.
fn check_counts(connection: &Connection) -> rusqlite::Result<()> {
    match counts::faults(connection)?.first() {
        None => Ok(()),
        Some(CountFault { exporter, reason }) => Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_CORRUPT),
            Some(format!("the counts of exporter `{exporter}`: {reason}")),
        )),
    }
}

fn continue_after(
    path: &Path,
    connection: &Connection,
    head: u64,
    mark: Option<&Mark>,
) -> Result<MissingItems, DatabaseError> {
    let count = || {
        let missing = match mark {
            Some(mark) => loss::count_missing(connection, mark)?,
            None => MissingItems::default(),
        };
        numbering::continue_after(connection, head)?;
        Ok(missing)
    };
    count().map_err(|error| JOURNAL.error(path, error))
}

fn use_files(path: &Path, connection: Connection, lost: u64) -> Result<WriterFile, OpenError> {
    let files = OpenFiles::open(path).map_err(|source| JOURNAL.unreadable(path, source))?;
    Ok(WriterFile {
        connection,
        files,
        lost,
    })
}
