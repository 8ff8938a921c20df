//! An Arrow IPC stream as a body.
//!
//! Columns are found by name and must have the frozen types, except that labels may
//! be plain instead of dictionaries. Unknown columns are dropped. All record batches
//! of the stream become one batch. Values may be NaN or infinite, which JSON cannot
//! express; otherwise the rules are those of JSON. A row that breaks a rule is
//! rejected alone; a column of another type is an error of the whole stream.

mod check;
mod columns;
mod rows;
mod structure;

use std::{borrow::Cow, collections::BTreeSet};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, Batch, NewAlert, PerformanceBatch, PerformanceBatchBuilder,
};

use self::rows::{InvalidRows, NumberedRows};
use super::{BodyLimits, IngestError, RejectedItems};
use crate::batch::codec::stream;

/// The valid series of a stream, and the invalid ones.
pub(super) fn performance(
    bytes: Cow<'_, [u8]>,
    limits: &BodyLimits,
) -> Result<(PerformanceBatch, RejectedItems), IngestError> {
    let batches = read(bytes, limits)?;
    let rules = |part: &_, invalid: &mut InvalidRows<'_>| check::series(part, limits, invalid);
    let (parts, rejected) = valid_rows(batches, structure::series, columns::performance, rules)?;
    Ok((join_series(parts)?, rejected))
}

/// The valid alerts of a stream, and the invalid ones. A missing column is null in every
/// alert, and a missing `occur_time` is `now_ms`.
pub(super) fn alerts(
    bytes: Cow<'_, [u8]>,
    limits: &BodyLimits,
    now_ms: i64,
) -> Result<(AlertBatch, RejectedItems), IngestError> {
    let batches = read(bytes, limits)?;
    let columns = |batch: &_| columns::alerts(batch, now_ms);
    let rules = |part: &_, invalid: &mut InvalidRows<'_>| check::alerts(part, limits, invalid);
    let (parts, rejected) = valid_rows(batches, structure::alerts, columns, rules)?;
    Ok((join_alerts(parts), rejected))
}

/// The valid rows of each record batch.
///
/// Rows are checked twice. Rows that the frozen columns cannot hold, such as nulls, are
/// removed first, because the batch could not be built with them. The rules for items
/// need that batch.
fn valid_rows<B: Batch>(
    batches: Vec<RecordBatch>,
    shape: impl Fn(&RecordBatch, &mut InvalidRows<'_>),
    columns: impl Fn(&RecordBatch) -> Result<B, IngestError>,
    rules: impl Fn(&B, &mut InvalidRows<'_>),
) -> Result<(Vec<B>, RejectedItems), IngestError> {
    let mut parts = Vec::with_capacity(batches.len());
    let mut rejected = RejectedItems::default();
    let mut first_index = 0;
    for batch in batches {
        let rows = NumberedRows::new(batch, first_index);
        first_index += rows.batch().num_rows();
        let mut invalid = rows.invalid_rows(&mut rejected);
        shape(rows.batch(), &mut invalid);
        let wrong = invalid.rows();
        let rows = rows.without(&wrong)?;
        let part = columns(rows.batch())?;
        let mut invalid = rows.invalid_rows(&mut rejected);
        rules(&part, &mut invalid);
        let wrong = invalid.rows();
        parts.push(without(part, &wrong)?);
    }
    Ok((parts, rejected))
}

/// The part without these rows.
fn without<B: Batch>(part: B, wrong: &BTreeSet<usize>) -> Result<B, IngestError> {
    if wrong.is_empty() {
        return Ok(part);
    }
    let rows = NumberedRows::new(part.as_arrow().clone(), 0).without(wrong)?;
    Ok(B::try_from_arrow(rows.batch().clone())?)
}

fn read(bytes: Cow<'_, [u8]>, limits: &BodyLimits) -> Result<Vec<RecordBatch>, IngestError> {
    let bytes = match bytes {
        Cow::Owned(bytes) => Buffer::from_vec(bytes),
        Cow::Borrowed(bytes) => Buffer::from(bytes),
    };
    let batches = stream::read(bytes).map_err(|error| columns::not_arrow(&error))?;
    let sizes = batches.iter().map(RecordBatch::num_rows);
    let rows = sizes.fold(0_u64, |sum, rows| sum.saturating_add(rows as u64));
    if rows > limits.max_rows {
        return Err(IngestError::TooManyRows {
            limit: limits.max_rows,
        });
    }
    Ok(batches)
}

// Each part has its own dictionaries. The builder merges them; concatenated columns would
// keep duplicates.
fn join_series(mut parts: Vec<PerformanceBatch>) -> Result<PerformanceBatch, IngestError> {
    if parts.len() == 1
        && let Some(only) = parts.pop()
    {
        return Ok(only);
    }
    let mut joined = PerformanceBatchBuilder::new();
    for series in parts.iter().flat_map(PerformanceBatch::series) {
        joined.series(series.name(), series.labels(), series.points())?;
    }
    Ok(joined.build())
}

fn join_alerts(mut parts: Vec<AlertBatch>) -> AlertBatch {
    if parts.len() == 1
        && let Some(only) = parts.pop()
    {
        return only;
    }
    let mut joined = AlertBatchBuilder::new();
    for alert in parts.iter().flat_map(AlertBatch::alerts) {
        let mut texts: Vec<(&str, &str)> = alert.texts().collect();
        texts.extend(alert.extra());
        joined.alert(NewAlert {
            occur_time: alert.occur_time(),
            texts: &texts,
        });
    }
    joined.build()
}

#[cfg(test)]
mod tests;
