//! Dead letters in the file.

use rusqlite::types::ToSql;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row, params};

use super::super::dead_letters::{
    DeadLetter, DeadLetterCommit, DeadLetterCount, DeadLetterDisposition, DeadLetterFilter,
    DeadLetterId, DeadLetterLimits, StoredDeadLetter,
};
use super::read::origin;
use super::transaction::WriteTransaction;
use crate::batch::{Header, Seq};

/// The columns that [`from_row`] reads. A payload follows, or an empty one in lists.
const COLUMNS: &str = "id, exporter, plugin_version, batch_id, seq, first_row, rows, items, origin, storage_id, \
                       accepted_ms, code, reason, attempts, first_ms, last_ms, bytes, replayed_ms";

/// The condition of a filter. [`FilterParams`] binds `?1` to `?4`, and `?5` to the limit.
const MATCHES: &str = "(?1 IS NULL OR exporter = ?1) AND (?2 IS NULL OR last_ms >= ?2)
     AND (?3 IS NULL OR instr(lower(reason), lower(?3)) > 0)
     AND (?4 IS NULL OR id IN (SELECT value FROM json_each(?4)))";

pub(super) fn insert(
    connection: &Connection,
    exporter: &str,
    dead_letter: &DeadLetter,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO dead_letters (exporter, plugin_version, batch_id, seq, first_row, rows, items, origin, storage_id,
                                   accepted_ms, code, reason, attempts, first_ms, last_ms, bytes, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        )?
        .execute(params![
            exporter,
            dead_letter.plugin_version,
            dead_letter.header.batch_id,
            dead_letter.seq.0,
            dead_letter.first_row,
            dead_letter.rows,
            dead_letter.header.items,
            dead_letter.header.origin.as_str(),
            dead_letter.header.storage_id,
            dead_letter.header.accepted_ms,
            dead_letter.code,
            dead_letter.reason,
            dead_letter.attempts,
            dead_letter.first_ms,
            dead_letter.last_ms,
            dead_letter.payload.len() as u64,
            dead_letter.payload,
        ])?;
    Ok(())
}

/// The matching dead letters, the oldest first, without their payloads.
pub(super) fn list(
    connection: &Connection,
    which: &DeadLetterFilter,
) -> rusqlite::Result<Vec<StoredDeadLetter>> {
    let filter = FilterParams::new(which);
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, x'' FROM dead_letters WHERE {MATCHES} ORDER BY id LIMIT ?5"
        ))?
        .query_map(filter.params(), from_row)?
        .collect()
}

/// How many dead letters match, without the limit.
pub(super) fn count(connection: &Connection, which: &DeadLetterFilter) -> rusqlite::Result<u64> {
    let all = DeadLetterFilter {
        limit: None,
        ..which.clone()
    };
    let filter = FilterParams::new(&all);
    connection
        .prepare_cached(&format!(
            "SELECT count(*) FROM (SELECT 1 FROM dead_letters WHERE {MATCHES} LIMIT ?5)"
        ))?
        .query_row(filter.params(), |row| row.get(0))
}

/// One dead letter, with its payload.
pub(super) fn get(
    connection: &Connection,
    id: DeadLetterId,
) -> rusqlite::Result<Option<StoredDeadLetter>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, payload FROM dead_letters WHERE id = ?1"
        ))?
        .query_row([to_sql(id)], from_row)
        .optional()
}

/// The first dead letter of an exporter after an id that is in replay, with its payload.
pub(super) fn next_in_replay(
    connection: &Connection,
    exporter: &str,
    after: DeadLetterId,
) -> rusqlite::Result<Option<StoredDeadLetter>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, payload FROM dead_letters
         WHERE exporter = ?1 AND replayed_ms IS NOT NULL AND id > ?2 ORDER BY id LIMIT 1"
        ))?
        .query_row(params![exporter, to_sql(after)], from_row)
        .optional()
}

pub(super) fn totals(connection: &Connection, exporter: &str) -> rusqlite::Result<DeadLetterCount> {
    connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(items), 0), coalesce(sum(bytes), 0) FROM dead_letters WHERE exporter = ?1",
        )?
        .query_row([exporter], |row| {
            Ok(DeadLetterCount {
                dead_letters: row.get(0)?,
                items: row.get(1)?,
                bytes: row.get(2)?,
            })
        })
}

/// Marks the matching dead letters that are not in replay yet.
///
/// The mark makes their items pending again. The items are accepted a second time, so
/// that the counts of the exporter still add up: they stay in `dead_lettered`, and
/// the end of the replay gives them a second disposition.
pub(super) fn start_replay(
    tx: &WriteTransaction<'_>,
    which: &DeadLetterFilter,
) -> rusqlite::Result<DeadLetterCount> {
    let filter = FilterParams::new(which);
    let mut params = filter.params().to_vec();
    params.push(&tx.now_ms);
    let mut marked = tx.connection.prepare_cached(&format!(
        "UPDATE dead_letters SET replayed_ms = ?6 WHERE id IN (
             SELECT id FROM dead_letters WHERE replayed_ms IS NULL AND {MATCHES} ORDER BY id LIMIT ?5
         ) RETURNING exporter, items, bytes"
    ))?;
    let mut marked = marked.query(params.as_slice())?;
    let mut count = DeadLetterCount::default();
    while let Some(row) = marked.next()? {
        let items = row.get(1)?;
        count.add(items, row.get(2)?);
        tx.connection
            .prepare_cached(
                "UPDATE cursors SET replayed_items = replayed_items + ?2 WHERE exporter = ?1",
            )?
            .execute(params![row.get::<_, String>(0)?, items])?;
    }
    Ok(count)
}

/// Deletes the matching dead letters that are not in replay.
pub(super) fn purge(
    connection: &Connection,
    which: &DeadLetterFilter,
) -> rusqlite::Result<DeadLetterCount> {
    let filter = FilterParams::new(which);
    let delete = connection.prepare_cached(&format!(
        "DELETE FROM dead_letters WHERE id IN (
             SELECT id FROM dead_letters WHERE replayed_ms IS NULL AND {MATCHES} ORDER BY id LIMIT ?5
         ) RETURNING items, bytes"
    ))?;
    count_deleted(delete, filter.params())
}

/// Deletes the dead letters of an exporter that are too old, and the oldest ones
/// beyond the size limit.
pub(super) fn trim(
    tx: &WriteTransaction<'_>,
    exporter: &str,
    limits: &DeadLetterLimits,
) -> rusqlite::Result<DeadLetterCount> {
    let too_old = serde_json::json!(tx.rules.clock.older_than(limits.max_age)).to_string();
    // `bytes_from` is the size of a dead letter and of all newer ones. It exceeds the
    // limit for exactly those that must go so that the rest fits. Dead letters in
    // replay count in that sum, and stay.
    let delete = tx.connection.prepare_cached(
        "DELETE FROM dead_letters WHERE id IN (
             SELECT id FROM (
                 SELECT id, replayed_ms, last_ms, sum(bytes) OVER (ORDER BY id DESC) AS bytes_from
                 FROM dead_letters WHERE exporter = ?1
             ) WHERE replayed_ms IS NULL AND (bytes_from > ?2 OR EXISTS (
                 SELECT 1 FROM json_each(?3) AS age
                 WHERE last_ms >= age.value ->> 0 AND last_ms < age.value ->> 1
             ))
         ) RETURNING items, bytes",
    )?;
    let max_bytes = i64::try_from(limits.max_bytes).unwrap_or(i64::MAX);
    count_deleted(delete, params![exporter, max_bytes, too_old])
}

/// The items of an exporter's dead letter; `None` unless it is in replay.
pub(super) fn items_in_replay(
    connection: &Connection,
    exporter: &str,
    id: DeadLetterId,
) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached("SELECT items FROM dead_letters WHERE id = ?1 AND exporter = ?2 AND replayed_ms IS NOT NULL")?
        .query_row(params![to_sql(id), exporter], |row| row.get(0))
        .optional()
}

/// Writes how the replay of a dead letter ended.
pub(super) fn end_replay(
    connection: &Connection,
    commit: &DeadLetterCommit,
) -> rusqlite::Result<()> {
    let id = to_sql(commit.id);
    match &commit.disposition {
        DeadLetterDisposition::Delivered => {
            connection
                .prepare_cached("DELETE FROM dead_letters WHERE id = ?1")?
                .execute([id])?;
        }
        DeadLetterDisposition::DeadLettered {
            code,
            reason,
            plugin_version,
            attempts,
            last_ms,
        } => {
            connection
                .prepare_cached(
                    "UPDATE dead_letters SET code = ?2, reason = ?3, plugin_version = ?4, attempts = ?5,
                     last_ms = ?6, replayed_ms = NULL
                 WHERE id = ?1",
                )?
                .execute(params![id, code, reason, plugin_version, attempts, last_ms])?;
        }
    }
    Ok(())
}

fn count_deleted(
    mut delete: CachedStatement<'_>,
    params: impl Params,
) -> rusqlite::Result<DeadLetterCount> {
    let mut deleted = delete.query(params)?;
    let mut count = DeadLetterCount::default();
    while let Some(row) = deleted.next()? {
        count.add(row.get(0)?, row.get(1)?);
    }
    Ok(count)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<StoredDeadLetter> {
    Ok(StoredDeadLetter {
        id: DeadLetterId(row.get(0)?),
        exporter: row.get(1)?,
        dead_letter: DeadLetter {
            plugin_version: row.get(2)?,
            header: Header {
                batch_id: row.get(3)?,
                origin: origin(row, 8)?,
                storage_id: row.get(9)?,
                complete: false,
                accepted_ms: row.get(10)?,
                items: row.get(7)?,
            },
            seq: Seq(row.get(4)?),
            first_row: row.get(5)?,
            rows: row.get(6)?,
            code: row.get(11)?,
            reason: row.get(12)?,
            attempts: row.get(13)?,
            first_ms: row.get(14)?,
            last_ms: row.get(15)?,
            payload: row.get(18)?,
        },
        bytes: row.get(16)?,
        replayed_ms: row.get(17)?,
    })
}

/// An id as SQLite stores it. A larger one was never given out, and matches nothing.
fn to_sql(id: DeadLetterId) -> i64 {
    i64::try_from(id.0).unwrap_or(i64::MAX)
}

/// A filter with its values as SQLite takes them.
struct FilterParams<'a> {
    filter: &'a DeadLetterFilter,
    /// A JSON array, because a statement cannot bind a list.
    ids: Option<String>,
    limit: i64,
}

impl<'a> FilterParams<'a> {
    fn new(filter: &'a DeadLetterFilter) -> Self {
        let ids: Vec<i64> = filter.ids.iter().copied().map(to_sql).collect();
        Self {
            filter,
            ids: (!ids.is_empty()).then(|| serde_json::Value::from(ids).to_string()),
            // SQLite reads a negative limit as none.
            limit: filter
                .limit
                .map_or(-1, |limit| i64::try_from(limit).unwrap_or(-1)),
        }
    }

    fn params(&self) -> [&dyn ToSql; 5] {
        [
            &self.filter.exporter,
            &self.filter.since_ms,
            &self.filter.reason,
            &self.ids,
            &self.limit,
        ]
    }
}
