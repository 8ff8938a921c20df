//! Appending one record, or finding that it is there already.

use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension, Params, params};

use super::super::error::AppendError;
use super::super::record::{NewRecord, Receipt};
use super::work::Work;
use crate::batch::Seq;

/// Appends a record unless it, or its key, is there already.
pub(super) fn append(
    work: &mut Work<'_>,
    record: &NewRecord,
    key: Option<&str>,
) -> rusqlite::Result<Result<Receipt, AppendError>> {
    if let Some(key) = key
        && let Some(first) = first_receipt(
            work.tx.prepare_cached(
                "SELECT seq, batch_id, items FROM idempotency_keys WHERE key = ?1",
            )?,
            [key],
        )?
    {
        return Ok(Ok(first));
    }
    let bytes = record.payload.len() as u64;
    if let Err(refused) = work.admit(bytes)? {
        return Ok(Err(refused));
    }
    let Some(seq) = insert(work, record)? else {
        let there = work
            .tx
            .prepare_cached("SELECT seq, batch_id, items FROM batches WHERE batch_id = ?1")?;
        // The constraint that refused the record has just named this one.
        let first = first_receipt(there, [record.header.batch_id])?;
        return first.map(Ok).ok_or(rusqlite::Error::QueryReturnedNoRows);
    };
    work.count(seq, record.header.items, bytes);
    let receipt = Receipt {
        seq: Seq(seq),
        batch_id: record.header.batch_id,
        items: record.header.items,
        repeated: false,
    };
    if let Some(key) = key {
        remember(work.tx, key, record, &receipt)?;
    }
    Ok(Ok(receipt))
}

/// The number that the record got; nothing if its batch is there already.
fn insert(work: &Work<'_>, record: &NewRecord) -> rusqlite::Result<Option<u64>> {
    let inserted = work
        .tx
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
            work.items,
            record.payload.len() as u64,
            work.bytes,
            record.payload,
        ]);
    match inserted {
        Ok(_) => Ok(Some(work.tx.last_insert_rowid().cast_unsigned())),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(None),
        Err(error) => Err(error),
    }
}

fn remember(
    tx: &Connection,
    key: &str,
    record: &NewRecord,
    receipt: &Receipt,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO idempotency_keys (key, batch_id, seq, items, accepted_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![key, receipt.batch_id, receipt.seq.0, receipt.items, record.header.accepted_ms])?;
    Ok(())
}

fn first_receipt(
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
