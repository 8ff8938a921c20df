//! An Arrow IPC stream as a body.
//!
//! Columns are found by name and must have the frozen types; labels may come
//! without dictionaries, columns that nobody asked for are dropped. All record
//! batches of the stream become one batch. Values may be NaN or infinite, which
//! JSON cannot say; otherwise the rules are those of JSON. A
//! row that breaks one is left out; a column of another type is the whole stream's
//! mistake.

mod check;
mod columns;
mod rows;
mod shape;

use std::{borrow::Cow, collections::BTreeSet};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, Batch, NewAlert, PerformanceBatch, PerformanceBatchBuilder,
};

use self::rows::{Faults, Rows};
use super::{IngestError, Limits, Rejected};
use crate::batch::codec::stream;

/// A series batch, and what is no part of it.
pub(super) fn performance(
    bytes: Cow<'_, [u8]>,
    limits: &Limits,
) -> Result<(PerformanceBatch, Rejected), IngestError> {
    let batches = read(bytes, limits)?;
    let rules = |part: &_, faults: &mut Faults<'_>| check::series(part, limits, faults);
    let (parts, rejected) = sift(batches, shape::series, columns::performance, rules)?;
    Ok((join_series(parts)?, rejected))
}

/// An alert batch, and what is no part of it. A column that a stream does not
/// have is empty in all its alerts; without `occur_time` they occurred at `now_ms`.
pub(super) fn alerts(
    bytes: Cow<'_, [u8]>,
    limits: &Limits,
    now_ms: i64,
) -> Result<(AlertBatch, Rejected), IngestError> {
    let batches = read(bytes, limits)?;
    let columns = |batch: &_| columns::alerts(batch, now_ms);
    let rules = |part: &_, faults: &mut Faults<'_>| check::alerts(part, limits, faults);
    let (parts, rejected) = sift(batches, shape::alerts, columns, rules)?;
    Ok((join_alerts(parts), rejected))
}

/// The valid rows of each record batch. Those that do not fit into the frozen
/// columns go first, for there are no columns with them.
fn sift<B: Batch>(
    batches: Vec<RecordBatch>,
    shape: impl Fn(&RecordBatch, &mut Faults<'_>),
    columns: impl Fn(&RecordBatch) -> Result<B, IngestError>,
    rules: impl Fn(&B, &mut Faults<'_>),
) -> Result<(Vec<B>, Rejected), IngestError> {
    let mut parts = Vec::with_capacity(batches.len());
    let mut rejected = Rejected::default();
    let mut first_index = 0;
    for batch in batches {
        let rows = Rows::new(batch, first_index);
        first_index += rows.batch().num_rows();
        let mut faults = rows.faults(&mut rejected);
        shape(rows.batch(), &mut faults);
        let wrong = faults.wrong();
        let rows = rows.without(&wrong)?;
        let part = columns(rows.batch())?;
        let mut faults = rows.faults(&mut rejected);
        rules(&part, &mut faults);
        let wrong = faults.wrong();
        parts.push(without(part, &wrong)?);
    }
    Ok((parts, rejected))
}

/// A part without some of its rows.
fn without<B: Batch>(part: B, wrong: &BTreeSet<usize>) -> Result<B, IngestError> {
    if wrong.is_empty() {
        return Ok(part);
    }
    let rows = Rows::new(part.as_arrow().clone(), 0).without(wrong)?;
    Ok(B::try_from_arrow(rows.batch().clone())?)
}

fn read(bytes: Cow<'_, [u8]>, limits: &Limits) -> Result<Vec<RecordBatch>, IngestError> {
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

// Parts have dictionaries of their own. The builder merges them, which joining
// the columns would not.
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
