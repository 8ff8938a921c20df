//! The table in a small SQLite file.
//!
//! Promises: a file of schema version 1 is migrated. A damaged file is moved aside,
//! never deleted: the journal and the next alert syncs fill the table again.
//!
//! Types of SQLite do not leave this file.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    super::{
        identity::AlertIdentity,
        table::TableChanges,
        tracked::{AlertEnd, TrackedAlert},
    },
    AlertStore, AlertStoreError, StoredTable,
};
use crate::{
    batch::Seq,
    sqlite::{Database, DatabaseError, FailureKind},
};

const FILE: &str = "alerts-active.db";
pub(crate) const ACTIVE_ALERTS: Database = Database {
    name: "table of active alerts",
    schema: include_str!("schema.sql"),
    application_id: 1_145_848_897,
    version: 2,
    migrations: &[ADD_IS_INGESTED],
    tables: &["alerts", "place"],
    create_pragmas: "",
    pragmas: "PRAGMA journal_size_limit = 16777216;",
};

/// Who sent the alerts of an old table is unknown: if they count as
/// ingested, none ends because its storage is unknown.
const ADD_IS_INGESTED: &str =
    "ALTER TABLE alerts ADD COLUMN is_ingested INTEGER NOT NULL DEFAULT 1;";

/// The file of the table.
pub(in crate::alert) struct SqliteAlertStore {
    path: PathBuf,
    /// `None` after a failed write.
    connection: Option<Connection>,
}

impl SqliteAlertStore {
    /// Opens the file in a folder. Creates a missing file.
    pub(in crate::alert) fn open(state_dir: &Path) -> Result<(Self, StoredTable), DatabaseError> {
        let path = state_dir.join(FILE);
        let (connection, stored) = open_or_replace(&path)?;
        let connection = Some(connection);
        Ok((Self { path, connection }, stored))
    }
}

impl AlertStore for SqliteAlertStore {
    fn save(&mut self, next: Seq, changes: &TableChanges) -> Result<(), AlertStoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => open_or_replace(&self.path)?.0,
        };
        write(&mut connection, next, changes)
            .map_err(|error| ACTIVE_ALERTS.error(&self.path, error))?;
        self.connection = Some(connection);
        Ok(())
    }
}

/// Opens the file. Moves a damaged file aside and creates a new one.
fn open_or_replace(path: &Path) -> Result<(Connection, StoredTable), DatabaseError> {
    match ACTIVE_ALERTS.open(path, load) {
        Err(error) if error.kind() == FailureKind::Damaged => {
            let aside = ACTIVE_ALERTS.move_aside(path)?;
            log::error!(
                moved_to:% = aside.display(), error:%;
                "the table of active alerts is damaged and was moved aside; new batches fill it again"
            );
            ACTIVE_ALERTS.open(path, load)
        }
        opened => opened,
    }
}

/// The first record that is not in the table of a file, which a host may have open. `None` in a
/// new file.
pub(in crate::alert) fn next_record(path: &Path) -> Result<Option<Seq>, DatabaseError> {
    let (connection, _) = ACTIVE_ALERTS.open_reader(path)?;
    stored_next(&connection).map_err(|error| ACTIVE_ALERTS.error(path, error))
}

fn stored_next(connection: &Connection) -> rusqlite::Result<Option<Seq>> {
    let next = connection
        .query_row("SELECT next_seq FROM place", [], |row| row.get(0))
        .optional()?;
    Ok(next.map(Seq))
}

fn load(connection: &Connection) -> rusqlite::Result<StoredTable> {
    let next = stored_next(connection)?;
    let mut alerts = connection.prepare(
        "SELECT storage_id, match_key, name, location, sequence_number,
                occur_time, texts, first_seen_ms, last_seen_ms, last_seq, ended_time, ended_ms,
                is_ingested
         FROM alerts",
    )?;
    let alerts = alerts.query_map([], alert_of)?;
    Ok(StoredTable {
        next,
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
    let text = |index| Ok::<_, rusqlite::Error>(row.get_ref(index)?.as_str()?);
    let identity = [text(0)?, text(1)?, text(2)?, text(3)?, text(4)?];
    Ok(TrackedAlert {
        identity: Arc::new(AlertIdentity::new(identity)),
        occur_time: row.get(5)?,
        texts: serde_json::from_str(text(6)?).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(
                6,
                rusqlite::types::Type::Text,
                Box::new(error),
            )
        })?,
        first_seen_ms: row.get(7)?,
        last_seen_ms: row.get(8)?,
        last_seq: Seq(row.get(9)?),
        is_ingested: row.get(12)?,
        end,
    })
}

fn write(connection: &mut Connection, next: Seq, changes: &TableChanges) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for alert in &changes.updated {
        upsert(&transaction, alert)?;
    }
    for identity in &changes.removed {
        transaction
            .prepare_cached(
                "DELETE FROM alerts WHERE (storage_id, match_key, name, location, sequence_number)
                                        = (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(identity.texts())?;
    }
    transaction
        .prepare_cached(
            "INSERT INTO place (id, next_seq) VALUES (1, ?1)
             ON CONFLICT DO UPDATE SET next_seq = excluded.next_seq",
        )?
        .execute([next.0])?;
    transaction.commit()
}

fn upsert(connection: &Connection, alert: &TrackedAlert) -> rusqlite::Result<()> {
    let [storage_id, match_key, name, location, sequence_number] = alert.identity.texts();
    let texts = serde_json::to_string(&alert.texts)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO alerts
                 (storage_id, match_key, name, location, sequence_number,
                  occur_time, texts, first_seen_ms, last_seen_ms, last_seq, ended_time, ended_ms,
                  is_ingested)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(params![
            storage_id,
            match_key,
            name,
            location,
            sequence_number,
            alert.occur_time,
            texts,
            alert.first_seen_ms,
            alert.last_seen_ms,
            alert.last_seq.0,
            alert.end.map(|end| end.occur_time),
            alert.end.map(|end| end.seen_ms),
            alert.is_ingested,
        ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        super::conformance::{OpenStore, alert_store_conformance},
        *,
    };

    fn new_store() -> OpenStore {
        let folder = tempfile::tempdir().unwrap();
        Box::new(move || {
            let (store, stored) = SqliteAlertStore::open(folder.path()).unwrap();
            (Box::new(store), stored)
        })
    }

    alert_store_conformance!(new_store, true);
}
