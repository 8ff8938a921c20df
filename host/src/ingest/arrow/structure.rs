//! Finds rows that the frozen columns cannot hold: rows with a null where none is
//! allowed, and series with different numbers of timestamps and values.
//!
//! Columns of other types are skipped here: they are an error of the whole stream.

use arrow_array::{Array, RecordBatch, cast::AsArray};
use arrow_buffer::OffsetBuffer;

use super::rows::InvalidRows;
use crate::ingest::ItemError;

pub(super) fn series(batch: &RecordBatch, invalid: &mut InvalidRows<'_>) {
    for column in ["name", "labels", "timestamps", "values"] {
        find_nulls(batch, column, invalid);
    }
    let list = |column| batch.column_by_name(column)?.as_list_opt::<i32>();
    if let (Some(timestamps), Some(values)) = (list("timestamps"), list("values"))
        && timestamps.offsets() != values.offsets()
    {
        find_unequal_lengths(timestamps.offsets(), values.offsets(), invalid);
    }
}

pub(super) fn alerts(batch: &RecordBatch, invalid: &mut InvalidRows<'_>) {
    find_nulls(batch, "extra", invalid);
}

fn find_nulls(batch: &RecordBatch, column: &'static str, invalid: &mut InvalidRows<'_>) {
    let Some(array) = batch.column_by_name(column) else {
        return;
    };
    if array.null_count() > 0 {
        for row in (0..array.len()).filter(|&row| array.is_null(row)) {
            invalid.add(row, column_error(column, "is null".to_owned()));
        }
    }
    if let Some(list) = array.as_list_opt::<i32>() {
        find_nulls_within(list.offsets(), list.values(), column, invalid);
    }
    if let Some(map) = array.as_map_opt() {
        for part in [map.entries() as &dyn Array, map.keys(), map.values()] {
            find_nulls_within(map.offsets(), part, column, invalid);
        }
    }
}

fn find_nulls_within(
    offsets: &OffsetBuffer<i32>,
    items: &dyn Array,
    column: &'static str,
    invalid: &mut InvalidRows<'_>,
) {
    if items.null_count() == 0 {
        return;
    }
    for (row, range) in offsets.array_windows().enumerate() {
        let [start, end] = range.map(|offset| offset as usize);
        if (start..end).any(|item| items.is_null(item)) {
            invalid.add(row, column_error(column, "contains a null".to_owned()));
        }
    }
}

fn find_unequal_lengths(
    timestamps: &OffsetBuffer<i32>,
    values: &OffsetBuffer<i32>,
    invalid: &mut InvalidRows<'_>,
) {
    let lengths = timestamps.lengths().zip(values.lengths());
    for (row, (timestamps, values)) in lengths.enumerate() {
        if timestamps != values {
            let reason = format!("has {values} values for {timestamps} timestamps");
            invalid.add(row, column_error("values", reason));
        }
    }
}

fn column_error(column: &'static str, reason: String) -> ItemError {
    ItemError::Invalid {
        field: Some(column),
        reason,
    }
}
