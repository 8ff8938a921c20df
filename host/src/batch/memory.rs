//! The memory that a batch keeps.

use std::collections::HashMap;

use arrow_array::{Array, RecordBatch};
use arrow_buffer::Buffer;
use arrow_data::ArrayData;

/// What an allocation costs in addition to its content: the counted header of an
/// Arrow buffer, and the allocator.
const ALLOCATION_BYTES: usize = 96;

/// Unused memory that is not worth a copy.
const SLACK_BYTES: u64 = 64 << 10;

/// The bytes that stay allocated as long as the batch exists, rounded up.
///
/// Several columns can be slices of one buffer, which is then counted once, and as a
/// whole: a small slice keeps all of it. The schema is shared by all batches of a kind.
pub(super) fn held_bytes(batch: &RecordBatch) -> u64 {
    let mut allocations = HashMap::new();
    let mut structs = 0;
    for column in batch.columns() {
        let all = column.get_array_memory_size();
        structs += all.saturating_sub(column.get_buffer_memory_size());
        add_allocations(&column.to_data(), &mut allocations);
    }
    let buffers = allocations.len() * ALLOCATION_BYTES + allocations.values().sum::<usize>();
    (structs + buffers) as u64
}

/// Whether the batch keeps far more memory than its rows use.
pub(crate) fn is_mostly_unused(batch: &RecordBatch) -> bool {
    held_bytes(batch) > 2 * used_bytes(batch) as u64 + SLACK_BYTES
}

/// The memory that the rows use, which can be a part of what the batch keeps.
pub(crate) fn used_bytes(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter();
    columns
        .map(|column| {
            let data = column.to_data();
            data.get_slice_memory_size().unwrap_or_default()
        })
        .sum()
}

/// Adds each allocation by its address.
fn add_allocations(array: &ArrayData, allocations: &mut HashMap<usize, usize>) {
    let mut add = |buffer: &Buffer| {
        if buffer.capacity() > 0 {
            allocations.insert(buffer.data_ptr().addr().get(), buffer.capacity());
        }
    };
    array.buffers().iter().for_each(&mut add);
    if let Some(nulls) = array.nulls() {
        add(nulls.buffer());
    }
    for child in array.child_data() {
        add_allocations(child, allocations);
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
