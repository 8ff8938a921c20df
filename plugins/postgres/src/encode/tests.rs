use delfin_plugin_api::{
    AlertBatchBuilder, NewAlert, PerformanceBatch, PerformanceBatchBuilder, RowFailureKind, sample,
};

use super::*;

fn encoded(batch: &impl CopyBatch) -> (CopyTables, RowFailures) {
    let (mut tables, mut refused) = (CopyTables::default(), RowFailures::new());
    batch.encode(&[], &mut tables, &mut refused);
    (tables, refused)
}

fn series(labels: &[(&str, &str)], points: &[(i64, f64)]) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    let (labels, points) = (labels.iter().copied(), points.iter().copied());
    batch.series("iops", labels, points).unwrap();
    batch.build()
}

#[test]
fn a_point_is_a_row_of_the_binary_format() {
    let (mut tables, _) = encoded(&series(&[("k", "v")], &[(946_684_800_001, 1.5)]));
    let bytes = tables.main.take();
    let mut expected = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\x08".to_vec();
    expected.extend_from_slice(&1000_i64.to_be_bytes());
    expected.extend_from_slice(&16_i32.to_be_bytes());
    assert_eq!(bytes[..expected.len()], expected);
    let end = &bytes[expected.len() + 16..];
    let mut expected = 8_i32.to_be_bytes().to_vec();
    expected.extend_from_slice(&1.5_f64.to_be_bytes());
    expected.extend_from_slice(&(-1_i16).to_be_bytes());
    assert_eq!(end, expected);
}

#[test]
fn a_series_is_written_once_and_again_after_it_was_forgotten() {
    let batch = sample::performance(10, 2);
    let (mut tables, mut refused) = encoded(&batch);
    assert_eq!(tables.new.len(), 10);
    tables.series_written();
    tables.clear();
    batch.encode(&[], &mut tables, &mut refused);
    assert!(tables.series.is_empty() && !tables.main.is_empty());
    tables.forget_series();
    tables.clear();
    batch.encode(&[], &mut tables, &mut refused);
    assert_eq!(tables.new.len(), 10);
}

#[test]
fn the_id_of_a_series_depends_on_its_name_and_labels_but_not_on_their_order() {
    let id = |labels: &[(&str, &str)]| {
        let (tables, _) = encoded(&series(labels, &[]));
        tables.new.into_iter().next().unwrap()
    };
    assert_eq!(id(&[("a", "1"), ("b", "2")]), id(&[("b", "2"), ("a", "1")]));
    assert_ne!(id(&[("a", "1")]), id(&[("a", "1"), ("b", "")]));
    assert_ne!(id(&[("ab", "c")]), id(&[("a", "bc")]));
    // A change would make a second series of each one in a database.
    assert_eq!(
        id(&[("k", "v")]).to_string(),
        "6530104a-ca42-52ea-ba12-68b589798471"
    );
}

#[test]
fn a_series_with_a_time_that_cannot_be_stored_is_refused_alone() {
    let mut batch = PerformanceBatchBuilder::new();
    for time in [
        1,
        i64::MIN,
        i64::MAX,
        -210_866_803_200_000,
        9_224_318_015_999_999,
    ] {
        batch.series("a", [("k", "v")], [(time, 1.0)]).unwrap();
    }
    let (_, refused) = encoded(&batch.build());
    let mut expected = RowFailures::new();
    expected.push(1..3, RowFailureKind::Rejected, TIME_RANGE);
    assert_eq!(refused, expected);
}

#[test]
fn nul_is_replaced_in_texts_and_objects() {
    let mut batch = AlertBatchBuilder::new();
    batch.alert(NewAlert {
        occur_time: i64::MAX,
        texts: &[("description", "a\0b"), ("fan\0", "\0\"")],
    });
    let (mut tables, refused) = encoded(&batch.build());
    assert_eq!(refused, RowFailures::new());
    let bytes = tables.main.take();
    let has = |text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(has("a\u{fffd}b") && has("{\"fan\u{fffd}\":\"\u{fffd}\\\"\"}"));
}
