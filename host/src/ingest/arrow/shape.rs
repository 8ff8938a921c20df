//! Rows whose shape the frozen columns cannot hold: with a null where none may
//! be, or with more times than values.
//!
//! A column of another type is not looked at: that is the whole stream's mistake.

use arrow_array::{Array, RecordBatch, cast::AsArray};
use arrow_buffer::OffsetBuffer;

use super::rows::Faults;
use crate::ingest::ItemError;

/// Finds the rows that cannot be series.
pub(super) fn series(batch: &RecordBatch, faults: &mut Faults<'_>) {
    for column in ["name", "labels", "timestamps", "values"] {
        find_nulls(batch, column, faults);
    }
    let list = |column| batch.column_by_name(column)?.as_list_opt::<i32>();
    if let (Some(timestamps), Some(values)) = (list("timestamps"), list("values"))
        && timestamps.offsets() != values.offsets()
    {
        find_uneven(timestamps.offsets(), values.offsets(), faults);
    }
}

/// Finds the rows that cannot be alerts.
pub(super) fn alerts(batch: &RecordBatch, faults: &mut Faults<'_>) {
    for column in ["occur_time", "extra"] {
        find_nulls(batch, column, faults);
    }
}

fn find_nulls(batch: &RecordBatch, column: &'static str, faults: &mut Faults<'_>) {
    let Some(array) = batch.column_by_name(column) else {
        return;
    };
    if array.null_count() > 0 {
        for row in (0..array.len()).filter(|&row| array.is_null(row)) {
            faults.add(row, invalid(column, "is null".to_owned()));
        }
    }
    if let Some(list) = array.as_list_opt::<i32>() {
        find_nulls_within(list.offsets(), list.values(), column, faults);
    }
    if let Some(map) = array.as_map_opt() {
        for part in [map.entries() as &dyn Array, map.keys(), map.values()] {
            find_nulls_within(map.offsets(), part, column, faults);
        }
    }
}

fn find_nulls_within(
    offsets: &OffsetBuffer<i32>,
    items: &dyn Array,
    column: &'static str,
    faults: &mut Faults<'_>,
) {
    if items.null_count() == 0 {
        return;
    }
    for (row, range) in offsets.array_windows().enumerate() {
        let [start, end] = range.map(|offset| offset as usize);
        if (start..end).any(|item| items.is_null(item)) {
            faults.add(row, invalid(column, "has a null in it".to_owned()));
        }
    }
}

fn find_uneven(
    timestamps: &OffsetBuffer<i32>,
    values: &OffsetBuffer<i32>,
    faults: &mut Faults<'_>,
) {
    let lengths = timestamps.lengths().zip(values.lengths());
    for (row, (timestamps, values)) in lengths.enumerate() {
        if timestamps != values {
            let reason = format!("{values} for {timestamps} timestamps");
            faults.add(row, invalid("values", reason));
        }
    }
}

fn invalid(column: &'static str, reason: String) -> ItemError {
    ItemError::Invalid {
        field: Some(column),
        reason,
    }
}
