//! Where the table lasts: a small SQLite file, and in it the place in the journal
//! that the table stands for.
//!
//! Promises: alerts and place change together or not at all. A damaged file is
//! moved aside, never deleted: the journal and the next sync fill the table again.
//!
//! Nothing of SQLite's leaves this file.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    identity::AlertIdentity,
    table::TableChanges,
    tracked::{AlertEnd, TrackedAlert},
};
use crate::{
    batch::Seq,
    sqlite::{self, Refusal},
};

const FILE: &str = "alerts-active.db";
const VERSION: i64 = 1;
const TABLE: sqlite::Kind = sqlite::Kind {
    schema: include_str!("schema.sql"),
    application_id: 1_145_848_897,
    version: VERSION,
    tables: &["alerts", "place"],
};
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the table's file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlertStoreError {
    /// It cannot be read or written.
    #[error("cannot use the table of active alerts `{}`: {reason}", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// It is of another program.
    #[error("`{}` is no table of active alerts (move it away)", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// It is of a newer host.
    #[error(
        "table of active alerts `{}` has version {found}, this host reads {VERSION} (use a newer host, or move it away)",
        path.display()
    )]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
}

/// The file.
pub(super) struct AlertStore {
    path: PathBuf,
    connection: Option<Connection>,
}

/// What the file holds.
#[derive(Debug, Default)]
pub(super) struct StoredTable {
    /// The first record that the table does not know; none in a new file.
    pub(super) place: Option<Seq>,
    pub(super) alerts: Vec<TrackedAlert>,
}

impl AlertStore {
    /// Opens the file in a folder, or makes it.
    pub(super) fn open(state_dir: &Path) -> Result<(Self, StoredTable), AlertStoreError> {
        let path = state_dir.join(FILE);
        let (connection, stored) = open_sound(&path)?;
        let connection = Some(connection);
        Ok((Self { path, connection }, stored))
    }

    /// Writes what has changed, and the place that it is true for. After an
    /// error the file is opened anew, and may be an empty one: everything has to
    /// be written then.
    pub(super) fn save(
        &mut self,
        place: Seq,
        changes: &TableChanges,
    ) -> Result<(), AlertStoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => open_sound(&self.path)?.0,
        };
        write(&mut connection, place, changes).map_err(|error| unusable(&self.path, &error))?;
        self.connection = Some(connection);
        Ok(())
    }
}

/// Opens the file; a damaged one is moved aside first.
fn open_sound(path: &Path) -> Result<(Connection, StoredTable), AlertStoreError> {
    match open_and_load(path) {
        Err(Refusal::Store(error)) if sqlite::is_damage(&error) => {
            let aside = sqlite::move_aside(path).map_err(|error| unusable(path, &error))?;
            log::error!(
                moved_to:% = aside.display(), error:%;
                "the table of active alerts is damaged and was moved aside; it fills again with what comes"
            );
            open_and_load(path).map_err(|refusal| refused(path, refusal))
        }
        opened => opened.map_err(|refusal| refused(path, refusal)),
    }
}

fn open_and_load(path: &Path) -> Result<(Connection, StoredTable), Refusal> {
    let connection = connect(path)?;
    let stored = load(&connection)?;
    Ok((connection, stored))
}

fn connect(path: &Path) -> Result<Connection, Refusal> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    TABLE.prepare(&mut connection, "PRAGMA journal_mode = WAL")?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 16777216;
         PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;",
    )?;
    Ok(connection)
}

fn load(connection: &Connection) -> rusqlite::Result<StoredTable> {
    let place = connection
        .query_row("SELECT next_seq FROM place", [], |row| row.get(0))
        .optional()?
        .map(Seq);
    let mut alerts = connection.prepare(
        "SELECT storage_id, match_key, name, location, sequence_number,
                occur_time, texts, first_seen_ms, last_seen_ms, last_seq, ended_time, ended_ms
         FROM alerts",
    )?;
    let alerts = alerts.query_map([], alert_of)?;
    Ok(StoredTable {
        place,
        alerts: alerts.collect::<rusqlite::Result<_>>()?,
    })
}

fn alert_of(row: &Row<'_>) -> rusqlite::Result<TrackedAlert> {
    let end = match (row.get(10)?, row.get(11)?) {
        (Some(occur_time), Some(seen_ms)) => Some(AlertEnd {
            occur_time,
            seen_ms,
        }),
        _ => None,
    };
    let texts: String = row.get(6)?;
    Ok(TrackedAlert {
        identity: Arc::new(AlertIdentity {
            storage_id: row.get(0)?,
            match_key: row.get(1)?,
            name: row.get(2)?,
            location: row.get(3)?,
            sequence_number: row.get(4)?,
        }),
        occur_time: row.get(5)?,
        texts: serde_json::from_str(&texts).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(
                6,
                rusqlite::types::Type::Text,
                Box::new(error),
            )
        })?,
        first_seen_ms: row.get(7)?,
        last_seen_ms: row.get(8)?,
        last_seq: Seq(row.get(9)?),
        end,
    })
}

fn write(connection: &mut Connection, place: Seq, changes: &TableChanges) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for alert in &changes.updated {
        keep(&transaction, alert)?;
    }
    for identity in &changes.removed {
        let key = identity;
        transaction
            .prepare_cached(
                "DELETE FROM alerts WHERE (storage_id, match_key, name, location, sequence_number)
                                        = (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                key.storage_id,
                key.match_key,
                key.name,
                key.location,
                key.sequence_number
            ])?;
    }
    transaction
        .prepare_cached(
            "INSERT INTO place (id, next_seq) VALUES (1, ?1)
             ON CONFLICT DO UPDATE SET next_seq = excluded.next_seq",
        )?
        .execute([place.0])?;
    transaction.commit()
}

fn keep(connection: &Connection, alert: &TrackedAlert) -> rusqlite::Result<()> {
    let key = &alert.identity;
    let texts = serde_json::to_string(&alert.texts)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO alerts
                 (storage_id, match_key, name, location, sequence_number,
                  occur_time, texts, first_seen_ms, last_seen_ms, last_seq, ended_time, ended_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            key.storage_id,
            key.match_key,
            key.name,
            key.location,
            key.sequence_number,
            alert.occur_time,
            texts,
            alert.first_seen_ms,
            alert.last_seen_ms,
            alert.last_seq.0,
            alert.end.map(|end| end.occur_time),
            alert.end.map(|end| end.seen_ms),
        ])?;
    Ok(())
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> AlertStoreError {
    AlertStoreError::Unusable {
        path: path.to_path_buf(),
        reason: error.to_string(),
    }
}

fn refused(path: &Path, refusal: Refusal) -> AlertStoreError {
    let owned = path.to_path_buf();
    match refusal {
        Refusal::Store(error) => unusable(path, &error),
        Refusal::Foreign => AlertStoreError::Foreign { path: owned },
        Refusal::Version(found) => AlertStoreError::Version { path: owned, found },
    }
}

impl std::fmt::Debug for AlertStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlertStore")
            .field("path", &self.path)
            .finish()
    }
}
