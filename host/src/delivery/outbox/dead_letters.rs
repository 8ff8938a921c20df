//! Dead letters made of rows, and of records that do not decode.

use delfin_plugin_abi::OutcomeCode;

use super::window::DeadRows;
use crate::{
    batch::{codec, with_own_texts},
    clock::now_ms,
    journal::{DeadLetter, Record},
};

/// The dead letter of rows.
///
/// # Errors
///
/// The rows cannot be encoded.
pub(super) fn from_rows(dead: &DeadRows, plugin_version: &str) -> Result<DeadLetter, String> {
    let arrow = dead.rows.arrow().and_then(|rows| with_own_texts(&rows));
    let arrow = arrow.map_err(|error| error.to_string())?;
    let payload = codec::encode(&arrow).map_err(|error| error.to_string())?;
    let batch = &dead.rows.batch.stored;
    Ok(DeadLetter {
        plugin_version: plugin_version.to_owned(),
        header: batch.header.for_part(dead.items),
        seq: batch.seq,
        first_row: dead.rows.rows.start as u64,
        rows: arrow.num_rows() as u64,
        code: dead.code,
        reason: dead.reason.clone(),
        attempts: u64::from(dead.attempts.count),
        first_ms: dead.attempts.first_ms,
        last_ms: now_ms(),
        payload,
    })
}

/// The dead letter of a record that does not decode. It keeps the payload as it
/// is, and lets the cursor pass the record.
pub(super) fn from_damaged(record: Record, reason: &str, plugin_version: &str) -> DeadLetter {
    let now = now_ms();
    DeadLetter {
        plugin_version: plugin_version.to_owned(),
        header: record.header.for_part(record.header.items),
        seq: record.seq,
        first_row: 0,
        rows: record.rows,
        code: OutcomeCode::REJECT.0,
        reason: format!("the record cannot be decoded: {reason}"),
        attempts: 0,
        first_ms: now,
        last_ms: now,
        // Only encoded ones are damaged.
        payload: record.payload.into_bytes().unwrap_or_default(),
    }
}
