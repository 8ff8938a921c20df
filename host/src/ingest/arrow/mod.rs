//! An Arrow IPC stream as a body.
//!
//! Columns are found by name and must have the frozen types, except that labels may
//! be plain instead of dictionaries. Unknown columns are dropped. All record batches
//! of the stream become one batch. Values may be NaN or infinite, which JSON cannot
//! express; otherwise the rules are those of JSON. A row that breaks a rule is
//! rejected alone; a column of another type is an error of the whole stream.

mod check;
mod columns;
mod join;
mod rows;
mod structure;
mod times;

use std::{borrow::Cow, collections::BTreeSet};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use delfin_plugin_api::{AlertBatch, Batch, PerformanceBatch};

use self::{
    check::RowChecks,
    join::{JoinedBatch, Parts},
    rows::{InvalidRows, NumberedRows},
};
use super::{
    BodyLimits, IngestError, IngestNotes, ParsedItems, RejectedItems, guard::ParseGuard,
    times::TimeReader,
};
use crate::batch::codec::stream::{StreamMessage, StreamReader};

/// The valid series of a stream, and the invalid ones.
pub(super) fn performance(
    bytes: Cow<'_, [u8]>,
    limits: &BodyLimits,
    now_ms: i64,
    mut guard: ParseGuard,
) -> Result<ParsedItems<PerformanceBatch>, IngestError> {
    let mut checks = RowChecks::new(limits);
    let mut notes = IngestNotes::default();
    let reader = TimeReader::new(now_ms);
    let columns = |batch: &_| {
        let series = columns::performance(batch)?;
        times::in_milliseconds(series, "timestamps", &reader, &mut notes)
    };
    let rules = |part: &_, invalid: &mut InvalidRows<'_>, guard: &mut ParseGuard| {
        checks.series(part, invalid, guard)
    };
    let batches = RecordBatches::new(bytes, limits, &mut guard);
    let (batch, rejected) = valid_rows(batches, structure::series, columns, rules)?;
    Ok(ParsedItems::new(batch, rejected, notes, guard))
}

/// The valid alerts of a stream, and the invalid ones. A missing column is null in every
/// alert, and a missing or null `occur_time` is `now_ms`.
pub(super) fn alerts(
    bytes: Cow<'_, [u8]>,
    limits: &BodyLimits,
    now_ms: i64,
    mut guard: ParseGuard,
) -> Result<ParsedItems<AlertBatch>, IngestError> {
    let mut checks = RowChecks::new(limits);
    let mut notes = IngestNotes::default();
    let reader = TimeReader::new(now_ms);
    let columns = |batch: &_| {
        let alerts = columns::alerts(batch, now_ms)?;
        times::in_milliseconds(alerts, "occur_time", &reader, &mut notes)
    };
    let rules = |part: &_, invalid: &mut InvalidRows<'_>, guard: &mut ParseGuard| {
        checks.alerts(part, invalid, guard)
    };
    let batches = RecordBatches::new(bytes, limits, &mut guard);
    let (batch, rejected) = valid_rows(batches, structure::alerts, columns, rules)?;
    Ok(ParsedItems::new(batch, rejected, notes, guard))
}

/// The valid rows of all record batches.
///
/// Rows are checked twice. Rows that the frozen columns cannot hold, such as nulls, are
/// removed first, because the batch could not be built with them. The rules for items
/// need that batch.
///
/// Each record batch is reduced to its valid rows before the next one is read: a stream
/// of many small ones, or of many columns, never is in memory as a whole.
fn valid_rows<B: JoinedBatch>(
    mut batches: RecordBatches<'_>,
    shape: impl Fn(&RecordBatch, &mut InvalidRows<'_>),
    mut columns: impl FnMut(&RecordBatch) -> Result<B, IngestError>,
    mut rules: impl FnMut(&B, &mut InvalidRows<'_>, &mut ParseGuard) -> Result<(), IngestError>,
) -> Result<(B, RejectedItems), IngestError> {
    let mut parts = Parts::default();
    let mut rejected = RejectedItems::default();
    let mut first_index = 0;
    while let Some(batch) = batches.next(parts.memory_bytes())? {
        let rows = NumberedRows::new(batch, first_index);
        first_index += rows.batch().num_rows();
        let mut invalid = rows.invalid_rows(&mut rejected);
        shape(rows.batch(), &mut invalid);
        let wrong = invalid.rows();
        let rows = rows.without(&wrong)?;
        let part = columns(rows.batch())?;
        let mut invalid = rows.invalid_rows(&mut rejected);
        rules(&part, &mut invalid, batches.guard)?;
        let wrong = invalid.rows();
        parts.add(without(part, &wrong)?)?;
    }
    Ok((parts.join()?, rejected))
}

/// The part without these rows.
fn without<B: Batch>(part: B, wrong: &BTreeSet<usize>) -> Result<B, IngestError> {
    if wrong.is_empty() {
        return Ok(part);
    }
    let rows = NumberedRows::new(part.as_arrow().clone(), 0).without(wrong)?;
    Ok(B::try_from_arrow(rows.batch().clone())?)
}
/// The record batches of a stream, within the limits of a body.
struct RecordBatches<'g> {
    reader: StreamReader,
    body_bytes: usize,
    /// Rows that may follow.
    rows_left: u64,
    max_rows: u64,
    guard: &'g mut ParseGuard,
}

impl<'g> RecordBatches<'g> {
    fn new(bytes: Cow<'_, [u8]>, limits: &BodyLimits, guard: &'g mut ParseGuard) -> Self {
        let bytes = match bytes {
            Cow::Owned(bytes) => Buffer::from_vec(bytes),
            Cow::Borrowed(bytes) => Buffer::from(bytes),
        };
        Self {
            body_bytes: bytes.len(),
            reader: StreamReader::new(bytes),
            rows_left: limits.max_rows,
            max_rows: limits.max_rows,
            guard,
        }
    }

    /// The next record batch. `made_bytes` is the memory of what was made of those before.
    fn next(&mut self, made_bytes: usize) -> Result<Option<RecordBatch>, IngestError> {
        loop {
            // Some columns of a record batch are copied, to remove rows or to convert them.
            self.guard.check(made_bytes + self.body_bytes)?;
            let message = self.reader.next_message();
            match message.map_err(|error| columns::not_arrow(&error))? {
                StreamMessage::Batch(batch) => {
                    let rows = batch.num_rows() as u64;
                    let left = self.rows_left.checked_sub(rows);
                    let limit = self.max_rows;
                    self.rows_left = left.ok_or(IngestError::TooManyRows { limit })?;
                    return Ok(Some(batch));
                }
                StreamMessage::Other => {}
                StreamMessage::EndOfStream => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
