//! Converts times in seconds to milliseconds, and notes times that are far off.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, ListArray, RecordBatch, cast::AsArray, types::Int64Type};
use arrow_buffer::OffsetBuffer;
use delfin_plugin_api::Batch;

use super::columns::not_arrow;
use crate::ingest::{IngestError, IngestNotes, times::TimeReader};

/// The batch with the times of this column in milliseconds. The column is a list in a
/// performance batch.
pub(super) fn in_milliseconds<B: Batch>(
    batch: B,
    column: &str,
    reader: &TimeReader,
    notes: &mut IngestNotes,
) -> Result<B, IngestError> {
    let arrow = batch.as_arrow();
    let Some((position, _)) = arrow.schema_ref().column_with_name(column) else {
        return Ok(batch);
    };
    let times = arrow.column(position);
    let converted: Option<ArrayRef> = match times.as_list_opt::<i32>() {
        Some(lists) => convert_lists(lists, reader, notes),
        None => times
            .as_primitive_opt::<Int64Type>()
            .and_then(|times| convert(times.values(), reader, notes))
            .map(|times| Arc::new(times) as ArrayRef),
    };
    let Some(converted) = converted else {
        return Ok(batch);
    };
    let mut columns = arrow.columns().to_vec();
    columns[position] = converted;
    let arrow = RecordBatch::try_new(arrow.schema(), columns).map_err(|error| not_arrow(&error))?;
    Ok(B::try_from_arrow(arrow)?)
}

fn convert_lists(
    lists: &ListArray,
    reader: &TimeReader,
    notes: &mut IngestNotes,
) -> Option<ArrayRef> {
    let values = lists.values().as_primitive_opt::<Int64Type>()?;
    let (first, end) = (lists.offsets().first(), lists.offsets().last());
    let (first, length) = (first as usize, (end - first) as usize);
    let converted = convert(values.slice(first, length).values(), reader, notes)?;
    // The offsets begin with those of the part.
    let lengths = lists.offsets().lengths();
    let (field, _, _, nulls) = lists.clone().into_parts();
    let offsets = OffsetBuffer::from_lengths(lengths);
    let lists = ListArray::new(field, offsets, Arc::new(converted), nulls);
    Some(Arc::new(lists))
}

/// The converted times; `None` if none is in seconds. Times that are not valid stay as they are.
fn convert(times: &[i64], reader: &TimeReader, notes: &mut IngestNotes) -> Option<Int64Array> {
    let converted = times
        .iter()
        .map(|&time| reader.check(time, notes).unwrap_or(time));
    let converted: Int64Array = converted.collect::<Vec<_>>().into();
    (converted.values() != times).then_some(converted)
}
