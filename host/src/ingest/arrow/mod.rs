//! An Arrow IPC stream as a body.
//!
//! Columns are found by name and must have the frozen types; labels may come
//! without dictionaries, columns that nobody asked for are dropped. All record
//! batches of the stream become one batch. Values may be NaN or infinite, which
//! JSON cannot say; otherwise the rules are those of JSON.

mod check;
mod columns;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, NewAlert, PerformanceBatch, PerformanceBatchBuilder,
};

use super::{IngestError, Limits};
use crate::codec::stream;

/// A series batch.
pub(super) fn performance(bytes: &[u8], limits: &Limits) -> Result<PerformanceBatch, IngestError> {
    let mut parts = Vec::new();
    let mut first_row = 0;
    for batch in read(bytes, limits)? {
        let part = columns::performance(&batch)?;
        check::series(&part, first_row, limits)?;
        first_row += batch.num_rows();
        parts.push(part);
    }
    join_series(parts)
}

/// An alert batch. A column that a stream does not have is empty in all its
/// alerts; without `occur_time` they occurred at `now_ms`.
pub(super) fn alerts(
    bytes: &[u8],
    limits: &Limits,
    now_ms: i64,
) -> Result<AlertBatch, IngestError> {
    let mut parts = Vec::new();
    let mut first_row = 0;
    for batch in read(bytes, limits)? {
        let part = columns::alerts(&batch, now_ms)?;
        check::alerts(&part, first_row, limits)?;
        first_row += batch.num_rows();
        parts.push(part);
    }
    Ok(join_alerts(parts))
}

fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<RecordBatch>, IngestError> {
    let batches = stream::read(Buffer::from(bytes)).map_err(|error| columns::not_arrow(&error))?;
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
