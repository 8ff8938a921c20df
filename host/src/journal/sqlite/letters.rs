//! Dead letters in the file: finding, replaying and forgetting them.

use rusqlite::types::ToSql;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row, params};

use super::super::cursor::DeadLetter;
use super::super::dead_letters::{
    DeadLetterCommit, DeadLetterCount, DeadLetterDisposition, DeadLetterFilter, DeadLetterId,
    DeadLetterLimits, StoredDeadLetter,
};
use super::read::origin;
use super::work::Work;
use crate::{
    batch::{Header, Seq},
    clock::millis,
};

/// The columns that [`letter_of`] reads; a payload, or nothing, follows.
const COLUMNS: &str = "id, exporter, plugin_version, batch_id, seq, first_row, rows, items, origin, storage_id, \
                       accepted_ms, code, reason, attempts, first_ms, last_ms, bytes, replayed_ms";

/// What a filter asks for, as bound by [`Asked`].
const FITS: &str = "(?1 IS NULL OR exporter = ?1) AND (?2 IS NULL OR last_ms >= ?2)
     AND (?3 IS NULL OR instr(lower(reason), lower(?3)) > 0)
     AND (?4 IS NULL OR id IN (SELECT value FROM json_each(?4)))";

/// Keeps a letter.
pub(super) fn keep(tx: &Connection, exporter: &str, letter: &DeadLetter) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO dead_letters (exporter, plugin_version, batch_id, seq, first_row, rows, items, origin, storage_id,
                                   accepted_ms, code, reason, attempts, first_ms, last_ms, bytes, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?
    .execute(params![
        exporter,
        letter.plugin_version,
        letter.header.batch_id,
        letter.seq.0,
        letter.first_row,
        letter.rows,
        letter.header.items,
        letter.header.origin.as_str(),
        letter.header.storage_id,
        letter.header.accepted_ms,
        letter.code,
        letter.reason,
        letter.attempts,
        letter.first_ms,
        letter.last_ms,
        letter.payload.len() as u64,
        letter.payload,
    ])?;
    Ok(())
}

/// The letters that fit, the oldest first, without their payloads.
pub(super) fn list(
    tx: &Connection,
    which: &DeadLetterFilter,
) -> rusqlite::Result<Vec<StoredDeadLetter>> {
    let asked = Asked::of(which);
    tx.prepare_cached(&format!(
        "SELECT {COLUMNS}, x'' FROM dead_letters WHERE {FITS} ORDER BY id LIMIT ?5"
    ))?
    .query_map(asked.params(), letter_of)?
    .collect()
}

/// One letter, with its payload.
pub(super) fn one(tx: &Connection, id: DeadLetterId) -> rusqlite::Result<Option<StoredDeadLetter>> {
    tx.prepare_cached(&format!(
        "SELECT {COLUMNS}, payload FROM dead_letters WHERE id = ?1"
    ))?
    .query_row([stored(id)], letter_of)
    .optional()
}

/// The next letter of an exporter that is being replayed, with its payload.
pub(super) fn next_replayed_dead_letter(
    tx: &Connection,
    exporter: &str,
    after: DeadLetterId,
) -> rusqlite::Result<Option<StoredDeadLetter>> {
    tx.prepare_cached(&format!(
        "SELECT {COLUMNS}, payload FROM dead_letters
         WHERE exporter = ?1 AND replayed_ms IS NOT NULL AND id > ?2 ORDER BY id LIMIT 1"
    ))?
    .query_row(params![exporter, stored(after)], letter_of)
    .optional()
}

/// What is held of an exporter.
pub(super) fn totals(tx: &Connection, exporter: &str) -> rusqlite::Result<DeadLetterCount> {
    tx.prepare_cached(
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

/// Marks the letters that fit, and makes their items pending.
pub(super) fn replay(
    work: &Work<'_>,
    which: &DeadLetterFilter,
) -> rusqlite::Result<DeadLetterCount> {
    let asked = Asked::of(which);
    let mut marked = work.tx.prepare_cached(&format!(
        "UPDATE dead_letters SET replayed_ms = {} WHERE id IN (
             SELECT id FROM dead_letters WHERE replayed_ms IS NULL AND {FITS} ORDER BY id LIMIT ?5
         ) RETURNING exporter, items, bytes",
        work.now_ms
    ))?;
    let mut marked = marked.query(asked.params())?;
    let mut count = DeadLetterCount::default();
    while let Some(letter) = marked.next()? {
        let items = letter.get(1)?;
        count.add(items, letter.get(2)?);
        work.tx
            .prepare_cached(
                "UPDATE cursors SET replayed_items = replayed_items + ?2 WHERE exporter = ?1",
            )?
            .execute(params![letter.get::<_, String>(0)?, items])?;
    }
    Ok(count)
}

/// Deletes the letters that fit.
pub(super) fn purge(
    tx: &Connection,
    which: &DeadLetterFilter,
) -> rusqlite::Result<DeadLetterCount> {
    let asked = Asked::of(which);
    let deleted = tx.prepare_cached(&format!(
        "DELETE FROM dead_letters WHERE id IN (
             SELECT id FROM dead_letters WHERE replayed_ms IS NULL AND {FITS} ORDER BY id LIMIT ?5
         ) RETURNING items, bytes"
    ))?;
    counted(deleted, asked.params())
}

/// Deletes an exporter's letters that are too old, or that newer ones leave no room for.
pub(super) fn trim(
    work: &Work<'_>,
    exporter: &str,
    limits: &DeadLetterLimits,
) -> rusqlite::Result<DeadLetterCount> {
    let until_ms = work.now_ms.saturating_sub(millis(limits.max_age));
    let deleted = work.tx.prepare_cached(
        "DELETE FROM dead_letters WHERE id IN (
             SELECT id FROM (
                 SELECT id, replayed_ms, last_ms, sum(bytes) OVER (ORDER BY id DESC) AS bytes_from
                 FROM dead_letters WHERE exporter = ?1
             ) WHERE replayed_ms IS NULL AND (bytes_from > ?2 OR last_ms < ?3)
         ) RETURNING items, bytes",
    )?;
    let max_bytes = i64::try_from(limits.max_bytes).unwrap_or(i64::MAX);
    counted(deleted, params![exporter, max_bytes, until_ms])
}

/// How many items a letter of an exporter holds; nothing unless it is being replayed.
pub(super) fn items_replayed(
    tx: &Connection,
    exporter: &str,
    id: DeadLetterId,
) -> rusqlite::Result<Option<u64>> {
    tx.prepare_cached("SELECT items FROM dead_letters WHERE id = ?1 AND exporter = ?2 AND replayed_ms IS NOT NULL")?
        .query_row(params![stored(id), exporter], |row| row.get(0))
        .optional()
}

/// Writes how the replay of a letter ended.
pub(super) fn end_replay(tx: &Connection, commit: &DeadLetterCommit) -> rusqlite::Result<()> {
    let id = stored(commit.id);
    match &commit.disposition {
        DeadLetterDisposition::Delivered => {
            tx.prepare_cached("DELETE FROM dead_letters WHERE id = ?1")?
                .execute([id])?;
        }
        DeadLetterDisposition::DeadLettered {
            code,
            reason,
            plugin_version,
            attempts,
            last_ms,
        } => {
            tx.prepare_cached(
                "UPDATE dead_letters SET code = ?2, reason = ?3, plugin_version = ?4, attempts = ?5,
                     last_ms = ?6, replayed_ms = NULL
                 WHERE id = ?1",
            )?
            .execute(params![id, code, reason, plugin_version, attempts, last_ms])?;
        }
    }
    Ok(())
}

fn counted(
    mut deleted: CachedStatement<'_>,
    which: impl Params,
) -> rusqlite::Result<DeadLetterCount> {
    let mut deleted = deleted.query(which)?;
    let mut count = DeadLetterCount::default();
    while let Some(letter) = deleted.next()? {
        count.add(letter.get(0)?, letter.get(1)?);
    }
    Ok(count)
}

fn letter_of(row: &Row<'_>) -> rusqlite::Result<StoredDeadLetter> {
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

/// A number as the store holds it; none that it cannot hold was ever given.
fn stored(id: DeadLetterId) -> i64 {
    i64::try_from(id.0).unwrap_or(i64::MAX)
}

/// A filter's values, as the store takes them.
struct Asked<'a> {
    filter: &'a DeadLetterFilter,
    ids: Option<String>,
    limit: i64,
}

impl<'a> Asked<'a> {
    fn of(filter: &'a DeadLetterFilter) -> Self {
        let ids: Vec<i64> = filter.ids.iter().copied().map(stored).collect();
        Self {
            filter,
            ids: (!ids.is_empty()).then(|| serde_json::Value::from(ids).to_string()),
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
