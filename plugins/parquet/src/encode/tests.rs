use delfin_plugin_api::PerformanceBatchBuilder;

use super::*;

const DAY: i64 = 86_400_000;

#[test]
fn points_are_in_the_file_of_their_day_and_storage() {
    let mut batch = PerformanceBatchBuilder::new();
    for (storage, times) in [
        ("a", &[1, 2, DAY, DAY + 1, 3][..]),
        ("b", &[DAY]),
        ("a", &[]),
        ("a", &[4]),
    ] {
        let points = times.iter().map(|&time| (time, 1.0));
        batch
            .series("iops", [("storage_id", storage)], points)
            .unwrap();
    }
    let batch = batch.build();
    let partitions = batch.partitions();
    let rows = |time, storage| {
        let rows = &partitions[&Partition::new(time, Some(storage))];
        rows.iter()
            .map(|rows| (rows.row, rows.points.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(partitions.len(), 3);
    assert_eq!(rows(0, "a"), [(0, 0..2), (0, 4..5), (3, 0..1)]);
    assert_eq!(rows(DAY, "a"), [(0, 2..4)]);
    assert_eq!(rows(DAY, "b"), [(1, 0..1)]);
}

#[test]
fn a_file_begins_and_ends_with_the_mark_of_the_format() {
    let mut batch = PerformanceBatchBuilder::new();
    let points = 2 * file::CHUNK_ROWS as i64 + 1;
    batch
        .series("iops", [("a", "b")], (0..points).map(|time| (time, 0.5)))
        .unwrap();
    let batch = batch.build();
    let rows = batch.partitions().into_values().next().unwrap();
    let content = batch.encode(&rows).unwrap();
    assert!(content.starts_with(b"PAR1") && content.ends_with(b"PAR1"));
}
