//! Appends a record, unless the journal has it already.

use std::borrow::Cow;

use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension, Params, params};

use super::super::error::AppendError;
use super::super::record::{CollectedWindow, NewRecord, Receipt};
use super::transaction::{WriteTransaction, not_encoded};
use super::windows;
use crate::batch::Seq;
use crate::batch::codec::{RecordPayload, RowGroup};

/// Appends a record. If the journal has its key, its window or its batch id, the result is the
/// receipt of the first append. Keys and windows are found even while the journal is full.
pub(super) fn append(
    tx: &mut WriteTransaction<'_>,
    record: &NewRecord,
    key: Option<&str>,
) -> rusqlite::Result<Result<Receipt, AppendError>> {
    if let Some(key) = key
        && let Some(first) = find_receipt(
            tx.connection.prepare_cached(
                "SELECT seq, batch_id, items FROM idempotency_keys WHERE key = ?1",
            )?,
            [key],
        )?
    {
        return Ok(Ok(first));
    }
    if let Some(window) = record.window()
        && let Some(first) = find_receipt(
            tx.connection.prepare_cached(
                "SELECT seq, batch_id, items FROM collected_windows WHERE storage_id = ?1 AND until_ms = ?2",
            )?,
            window,
        )?
    {
        return Ok(Ok(first));
    }
    let (stored, small) = match &record.payload {
        RecordPayload::Encoded(payload) => (Cow::Borrowed(&**payload), None),
        RecordPayload::Rows(batch) if tx.fits(batch.bytes) => (Cow::Borrowed(&[][..]), Some(batch)),
        // A journal that is nearly full counts records as they are stored: by themselves.
        RecordPayload::Rows(batch) => {
            tx.write_group()?;
            let payload = RowGroup::of(batch).encode().map_err(not_encoded)?;
            (Cow::Owned(payload), None)
        }
    };
    let bytes = small.map_or(stored.len() as u64, |batch| batch.bytes);
    if let Err(refused) = tx.admit(bytes)? {
        return Ok(Err(refused));
    }
    if small.is_none_or(|batch| tx.group.is_full_for(batch)) {
        tx.write_group()?;
    }
    let Some(seq) = insert(tx, record, &stored)? else {
        let existing = tx
            .connection
            .prepare_cached("SELECT seq, batch_id, items FROM batches WHERE batch_id = ?1")?;
        // The unique constraint has just found this record, so it exists.
        let first = find_receipt(existing, [record.header.batch_id])?;
        return first.map(Ok).ok_or(rusqlite::Error::QueryReturnedNoRows);
    };
    tx.count_appended(seq, record.header.items, stored.len() as u64);
    if let Some(batch) = small {
        tx.group.push(batch);
    }
    let receipt = Receipt {
        seq: Seq(seq),
        batch_id: record.header.batch_id,
        items: record.header.items,
        repeated: false,
    };
    if let Some(key) = key {
        insert_key(tx.connection, key, record, &receipt)?;
    }
    if let Some((storage_id, until_ms)) = record.window() {
        let window = CollectedWindow {
            storage_id: storage_id.to_owned(),
            until_ms,
            receipt: receipt.clone(),
            accepted_ms: record.header.accepted_ms,
        };
        windows::note(tx.connection, &window)?;
    }
    Ok(Ok(receipt))
}

/// The sequence number of the inserted record; `None` if the journal has the batch.
///
/// `items_before` and `bytes_before` are running totals over every record that was
/// ever appended. The items or bytes between two records are a difference of two
/// rows, so counting what is pending costs the same for any backlog, and stays right
/// after the records before it were pruned.
fn insert(
    tx: &WriteTransaction<'_>,
    record: &NewRecord,
    payload: &[u8],
) -> rusqlite::Result<Option<u64>> {
    let inserted = tx
        .connection
        .prepare_cached(
            "INSERT INTO batches (batch_id, origin, storage_id, complete, accepted_ms,
                                  rows, items, items_before, bytes, bytes_before, payload)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            record.header.batch_id,
            record.header.origin.as_str(),
            record.header.storage_id,
            record.header.complete,
            record.header.accepted_ms,
            record.rows,
            record.header.items,
            tx.appended_items,
            payload.len() as u64,
            tx.appended_bytes,
            payload,
        ]);
    match inserted {
        Ok(_) => Ok(Some(tx.connection.last_insert_rowid().cast_unsigned())),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(None),
        Err(error) => Err(error),
    }
}

fn insert_key(
    connection: &Connection,
    key: &str,
    record: &NewRecord,
    receipt: &Receipt,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO idempotency_keys (key, batch_id, seq, items, accepted_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            key,
            receipt.batch_id,
            receipt.seq.0,
            receipt.items,
            record.header.accepted_ms
        ])?;
    Ok(())
}

fn find_receipt(
    mut statement: CachedStatement<'_>,
    id: impl Params,
) -> rusqlite::Result<Option<Receipt>> {
    statement
        .query_row(id, |row| {
            Ok(Receipt {
                seq: Seq(row.get(0)?),
                batch_id: row.get(1)?,
                items: row.get(2)?,
                repeated: true,
            })
        })
        .optional()
}
