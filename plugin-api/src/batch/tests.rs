use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use std::sync::Arc;

use arrow_schema::DataType;

use super::*;

fn two_series() -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    let labels = [("resource_id", "sda"), ("unit", "IOPS")];
    batch
        .series("iops", labels, [(1, 1.5), (2, f64::NAN)])
        .unwrap();
    batch
        .series("iops", [("resource_id", "sdb"), ("unit", "IOPS")], [])
        .unwrap();
    batch.build()
}

#[test]
fn a_batch_reads_back_as_it_was_built() {
    let batch = two_series();
    let series: Vec<_> = batch.series().collect();
    assert_eq!((batch.rows(), batch.items()), (2, 2));
    assert_eq!(series[0].name(), "iops");
    assert_eq!(series[0].labels().get("resource_id"), Some("sda"));
    assert_eq!(series[1].labels().get("resource_id"), Some("sdb"));
    assert_eq!(series[0].labels().get("type"), None);
    assert_eq!(series[0].timestamps(), [1, 2]);
    assert!(series[0].values()[1].is_nan());
    assert_eq!(series[1].points().len(), 0);
}

#[test]
fn an_empty_batch_has_the_frozen_columns() {
    let empty = PerformanceBatchBuilder::new().build();
    assert_eq!(empty.as_arrow().schema(), performance_schema());
    let empty = AlertBatchBuilder::new().build();
    assert_eq!(empty.as_arrow().schema(), alert_schema());
}

#[test]
fn a_discarded_series_leaves_no_trace() {
    let mut batch = PerformanceBatchBuilder::new();
    batch.series("a", [("k", "1")], [(1, 1.0)]).unwrap();
    batch.label("k", "discarded");
    batch.label("discarded", "1");
    batch.point(2, 2.0);
    batch.discard_series();
    batch.series("b", [("k", "3")], [(3, 3.0)]).unwrap();
    let batch = batch.build();
    let columns = format!("{:?}", batch.as_arrow());
    assert!(!columns.contains("discarded"), "{columns}");
    let read: Vec<_> = batch
        .series()
        .map(|s| {
            (
                s.name().to_owned(),
                s.labels().get("k").map(str::to_owned),
                s.points().collect::<Vec<_>>(),
            )
        })
        .collect();
    assert_eq!(
        read,
        [
            ("a".to_owned(), Some("1".to_owned()), vec![(1, 1.0)]),
            ("b".to_owned(), Some("3".to_owned()), vec![(3, 3.0)]),
        ]
    );
}

#[test]
fn a_slice_has_only_its_own_rows() {
    let sliced = two_series().as_arrow().slice(1, 1);
    let sliced = PerformanceBatch::try_from_arrow(sliced).unwrap();
    let series: Vec<_> = sliced.series().collect();
    assert_eq!(series.len(), 1);
    assert_eq!(series[0].labels().get("resource_id"), Some("sdb"));
    assert_eq!(sliced.items(), 0);
}

#[test]
fn an_additional_column_is_ignored_and_a_missing_column_is_named() {
    let arrow = two_series().as_arrow().clone();
    let (schema, mut columns, _) = arrow.clone().into_parts();
    let mut fields = schema.fields().to_vec();
    fields.push(Arc::new(arrow_schema::Field::new(
        "later",
        DataType::Int64,
        false,
    )));
    columns.push(Arc::new(Int64Array::from(vec![7, 7])) as ArrayRef);
    let more = RecordBatch::try_new(Arc::new(arrow_schema::Schema::new(fields)), columns).unwrap();
    assert_eq!(PerformanceBatch::try_from_arrow(more).unwrap().rows(), 2);

    let less = arrow.project(&[0, 1, 2]).unwrap();
    let error = PerformanceBatch::try_from_arrow(less).unwrap_err();
    assert_eq!(error.to_string(), "column `values` is missing");
}

#[test]
fn texts_without_a_column_go_into_extra() {
    let mut batch = AlertBatchBuilder::new();
    let texts = [
        ("alert_id", "1"),
        ("rack", "7"),
        ("severity", "Major"),
        ("severity", "Fatal"),
    ];
    batch.alert(NewAlert {
        occur_time: 5,
        texts: &texts,
    });
    let batch = batch.build();
    let alert = batch.alerts().next().unwrap();
    assert_eq!(alert.alert_id(), Some("1"));
    assert_eq!(alert.severity(), Some("Fatal"));
    assert_eq!(alert.location(), None);
    assert_eq!(alert.occur_time(), 5);
    assert_eq!(alert.extra().iter().collect::<Vec<_>>(), [("rack", "7")]);
}
