//! The memory that a batch keeps.

use std::ops::Range;

use arrow_array::{
    Array, RecordBatch,
    cast::AsArray,
    types::{Float64Type, Int32Type, Int64Type},
};
use arrow_buffer::Buffer;
use arrow_data::ArrayData;
use arrow_schema::DataType;

/// What an allocation costs in addition to its content: the counted header of an
/// Arrow buffer, and the allocator.
const ALLOCATION_BYTES: usize = 96;

/// Unused memory that is not worth a copy.
const SLACK_BYTES: u64 = 64 << 10;

/// The bytes that stay allocated as long as a batch exists, rounded up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldBytes {
    /// Of what describes the columns.
    pub(crate) structs: u64,
    /// Several columns can be slices of one buffer, which is then counted once, and as a
    /// whole: a small slice keeps all of it.
    buffers: u64,
}

impl HeldBytes {
    /// The schema is shared by all batches of a kind.
    pub(crate) fn of(batch: &RecordBatch) -> Self {
        let mut allocations = Vec::with_capacity(32);
        let mut structs = 0;
        let mut add = |buffer: &Buffer| {
            if buffer.capacity() > 0 {
                allocations.push((buffer.data_ptr().addr().get(), buffer.capacity()));
            }
        };
        for column in batch.columns() {
            let all = column.get_array_memory_size();
            structs += all.saturating_sub(column.get_buffer_memory_size());
            visit_buffers(column, &mut add);
        }
        allocations.sort_unstable();
        allocations.dedup_by_key(|(address, _)| *address);
        let buffers: usize = allocations.iter().map(|(_, bytes)| bytes).sum();
        Self {
            structs: structs as u64,
            buffers: (allocations.len() * ALLOCATION_BYTES + buffers) as u64,
        }
    }

    pub(crate) const fn all(self) -> u64 {
        self.structs + self.buffers
    }

    /// The bytes of some rows of a batch: a part of its buffers, by their number.
    pub(crate) fn of_rows(self, rows: usize, all: usize) -> u64 {
        self.structs + (self.buffers * rows as u64).div_ceil(all.max(1) as u64)
    }
}

/// The bytes that stay allocated as long as the batch exists.
pub(crate) fn held_bytes(batch: &RecordBatch) -> u64 {
    HeldBytes::of(batch).all()
}

/// Whether the batch keeps far more memory than its rows use.
pub(crate) fn is_mostly_unused(batch: &RecordBatch) -> bool {
    held_bytes(batch) > 2 * used_bytes(batch) as u64 + SLACK_BYTES
}

/// The memory that the rows use, which can be a part of what the batch keeps. Texts of a dictionary count as a whole.
pub(crate) fn used_bytes(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter();
    columns.map(|column| used_by(column, 0..column.len())).sum()
}

/// As [`visit_buffers`], of some of the items, without [`ArrayData`].
fn used_by(array: &dyn Array, items: Range<usize>) -> usize {
    let len = items.len();
    let nulls = array.nulls().map_or(0, |_| len.div_ceil(8));
    let offsets = (len + 1) * size_of::<i32>();
    let children = |ends: &[i32]| ends[items.start] as usize..ends[items.end] as usize;
    nulls
        + match array.data_type() {
            DataType::Utf8 => offsets + children(array.as_string::<i32>().value_offsets()).len(),
            DataType::Int64 | DataType::Float64 => len * size_of::<i64>(),
            DataType::Int32 => len * size_of::<i32>(),
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                offsets + used_by(list.values(), children(list.value_offsets()))
            }
            DataType::Map(..) => {
                let map = array.as_map();
                offsets + used_by(map.entries(), children(map.value_offsets()))
            }
            DataType::Struct(_) => {
                let columns = array.as_struct().columns().iter();
                columns.map(|column| used_by(column, items.clone())).sum()
            }
            DataType::Dictionary(keys, _) if **keys == DataType::Int32 => {
                let texts = array.as_any_dictionary().values();
                len * size_of::<i32>() + used_by(texts, 0..texts.len())
            }
            _ => {
                let data = array.slice(items.start, len).to_data();
                data.get_slice_memory_size()
                    .unwrap_or_default()
                    .saturating_sub(nulls)
            }
        }
}

/// Visits the buffers of a column. The types of our batches need no [`ArrayData`], which costs an
/// allocation for each level.
fn visit_buffers(array: &dyn Array, visit: &mut impl FnMut(&Buffer)) {
    if let Some(nulls) = array.nulls() {
        visit(nulls.buffer());
    }
    match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            visit(texts.offsets().inner().inner());
            visit(texts.values());
        }
        DataType::Int64 => visit(array.as_primitive::<Int64Type>().values().inner()),
        DataType::Float64 => visit(array.as_primitive::<Float64Type>().values().inner()),
        DataType::Int32 => visit(array.as_primitive::<Int32Type>().values().inner()),
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            visit(lists.offsets().inner().inner());
            visit_buffers(lists.values(), visit);
        }
        DataType::Map(..) => {
            let maps = array.as_map();
            visit(maps.offsets().inner().inner());
            visit_buffers(maps.entries(), visit);
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            columns.for_each(|column| visit_buffers(column, visit));
        }
        DataType::Dictionary(keys, _) if **keys == DataType::Int32 => {
            let dictionary = array.as_dictionary::<Int32Type>();
            visit(dictionary.keys().values().inner());
            visit_buffers(dictionary.values(), visit);
        }
        _ => visit_data(&array.to_data(), visit),
    }
}

fn visit_data(data: &ArrayData, visit: &mut impl FnMut(&Buffer)) {
    data.buffers().iter().for_each(&mut *visit);
    for child in data.child_data() {
        if let Some(nulls) = child.nulls() {
            visit(nulls.buffer());
        }
        visit_data(child, visit);
    }
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{AlertBatchBuilder, Batch, NewAlert, PerformanceBatchBuilder};

    use super::*;
    use crate::batch::codec;

    fn alert(description: &str) -> RecordBatch {
        let mut batch = AlertBatchBuilder::new();
        let texts = [("alert_id", "1"), ("description", description)];
        batch.alert(NewAlert {
            occur_time: 0,
            texts: &texts,
        });
        batch.build().as_arrow().clone()
    }

    fn points(count: i64) -> RecordBatch {
        let mut batch = PerformanceBatchBuilder::new();
        let points = (0..count).map(|time| (time, 0.5));
        batch.series("load", [("unit", "%")], points).unwrap();
        batch.build().as_arrow().clone()
    }

    #[test]
    fn a_small_batch_keeps_little_memory_and_all_of_it_is_counted() {
        for batch in [alert("a"), points(1)] {
            let held = held_bytes(&batch);
            assert!(held < 8 << 10, "{held}");
            let buffers: usize = batch
                .columns()
                .iter()
                .map(|column| column.get_buffer_memory_size())
                .sum();
            assert!(buffers < 4 << 10, "{buffers}");
        }
    }

    #[test]
    fn what_rows_use_is_counted_as_arrow_counts_it() {
        for batch in [alert("a"), points(1000), alert("a").slice(1, 0)] {
            let columns = batch.columns().iter().map(|column| column.to_data());
            let by_arrow = columns.map(|data| data.get_slice_memory_size().unwrap());
            assert_eq!(used_bytes(&batch), by_arrow.sum::<usize>());
        }
    }

    #[test]
    fn a_part_of_a_batch_uses_a_part_of_its_memory() {
        let mut batch = PerformanceBatchBuilder::new();
        for series in 0..10 {
            let points = (0..100).map(|time| (time, 0.5));
            let name = format!("load-{series}");
            batch.series(&name, [("unit", "%")], points).unwrap();
        }
        let all = batch.build().as_arrow().clone();
        let parts = (0..10).map(|row| used_bytes(&all.slice(row, 1)));
        assert!(parts.clone().all(|bytes| (1600..1700).contains(&bytes)));
        assert!(parts.sum::<usize>() >= used_bytes(&all));
        assert!(used_bytes(&all.slice(3, 0)) < 100);
    }

    #[test]
    fn a_large_batch_is_counted_by_its_content() {
        let held = held_bytes(&points(100_000));
        assert!((1_600_000..1_610_000).contains(&held), "{held}");
    }

    #[test]
    fn a_buffer_that_columns_share_is_counted_once_and_as_a_whole() {
        let decoded = codec::decode(&codec::encode(&points(100_000)).unwrap()).unwrap();
        let held = held_bytes(&decoded);
        assert!((1_600_000..1_620_000).contains(&held), "{held}");
        let part = held_bytes(&decoded.slice(0, 0));
        assert!(part > 1_600_000, "{part}");
    }
}
