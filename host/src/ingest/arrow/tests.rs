use std::sync::Arc;

use arrow_array::{
    ArrayRef, Float64Array, Int64Array, StringArray,
    builder::{
        Float64Builder, Int64Builder, ListBuilder, MapBuilder, MapFieldNames, StringBuilder,
    },
};
use arrow_ipc::writer::StreamWriter;
use delfin_plugin_api::{Batch, PerformanceBatchBuilder, alert_schema, performance_schema};

use super::*;

const NOW: i64 = 1_700_000_000_000;

fn unlimited() -> ParseGuard {
    ParseGuard::unlimited(&BodyLimits::default())
}

fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    batches
        .iter()
        .for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

fn parsed(bytes: &[u8], limits: &BodyLimits) -> Result<PerformanceBatch, IngestError> {
    let items = performance(
        Cow::Borrowed(bytes),
        limits,
        NOW,
        ParseGuard::unlimited(limits),
    )?;
    items.rejected.require_empty(items.batch)
}

fn alerts_of(bytes: &[u8]) -> Result<AlertBatch, IngestError> {
    let items = alerts(
        Cow::Borrowed(bytes),
        &BodyLimits::default(),
        NOW,
        unlimited(),
    )?;
    items.rejected.require_empty(items.batch)
}

fn frozen(rows: std::ops::Range<i64>) -> RecordBatch {
    let mut batch = PerformanceBatchBuilder::new();
    for row in rows {
        let id = format!("disk_{row}");
        let labels = [("resource_id", id.as_str()), ("unit", "%")];
        batch
            .series("load", labels, [(row, row as f64), (row + 1, 0.5)])
            .unwrap();
    }
    batch.build().as_arrow().clone()
}

/// A batch as a stranger builds it: plain labels, nullable insides, other names.
fn foreign(name: &str, labels: &[(&str, &str)], points: &[(i64, f64)]) -> RecordBatch {
    let names = MapFieldNames {
        entry: "e".into(),
        key: "k".into(),
        value: "v".into(),
    };
    let mut map = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for (key, value) in labels {
        map.keys().append_value(key);
        map.values().append_value(value);
    }
    map.append(true).unwrap();
    let mut times = ListBuilder::new(Int64Builder::new());
    let mut values = ListBuilder::new(Float64Builder::new());
    for (time, value) in points {
        times.values().append_value(*time);
        values.values().append_value(*value);
    }
    times.append(true);
    values.append(true);
    let columns: [(&str, ArrayRef); 5] = [
        ("values", Arc::new(values.finish())),
        ("comment", Arc::new(Int64Array::from(vec![1]))),
        ("labels", Arc::new(map.finish())),
        ("timestamps", Arc::new(times.finish())),
        ("name", Arc::new(StringArray::from(vec![name]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn refused(batch: &RecordBatch) -> String {
    parsed(&stream(std::slice::from_ref(batch)), &BodyLimits::default())
        .unwrap_err()
        .to_string()
}

#[test]
fn a_batch_of_the_frozen_types_is_accepted_unchanged() {
    let batch = parsed(&stream(&[frozen(0..3)]), &BodyLimits::default()).unwrap();
    assert_eq!(batch.as_arrow(), &frozen(0..3));
}

#[test]
fn the_batches_of_a_stream_become_one() {
    let parts = [frozen(0..2), frozen(2..2), frozen(2..5)];
    let batch = parsed(&stream(&parts), &BodyLimits::default()).unwrap();
    assert_eq!(batch.as_arrow(), &frozen(0..5));
}

#[test]
fn a_foreign_batch_becomes_one_of_the_frozen_types() {
    let batch = foreign(
        "load",
        &[("a", "1"), ("b", "1")],
        &[(1, f64::NAN), (2, f64::INFINITY)],
    );
    let batch = parsed(&stream(&[batch]), &BodyLimits::default()).unwrap();
    assert_eq!(batch.as_arrow().schema(), performance_schema());
    let series = batch.series().next().unwrap();
    assert_eq!(
        series.labels().iter().collect::<Vec<_>>(),
        [("a", "1"), ("b", "1")]
    );
    assert!(series.values()[0].is_nan());
    assert_eq!(series.values()[1], f64::INFINITY);
}

#[test]
fn the_rules_of_json_apply_to_arrow() {
    let many: Vec<_> = (0..257).map(|n| format!("l{n}")).collect();
    let many: Vec<_> = many.iter().map(|label| (label.as_str(), "1")).collect();
    for (batch, wanted) in [
        (foreign("", &[], &[]), "item 0: name: is empty"),
        (
            foreign("a", &[("", "1")], &[]),
            "item 0: labels: a label has no name",
        ),
        (
            foreign("a", &[("k", "1"), ("k", "1")], &[]),
            "item 0: labels: label `k` comes twice",
        ),
        (
            foreign("a", &many, &[]),
            "item 0: labels: has more than 256 labels",
        ),
        (
            foreign("a", &[], &[(2, 0.0), (2, 0.0)]),
            "item 0: timestamps: `2` comes twice",
        ),
        (
            foreign("a", &[], &[(-2, 0.0)]),
            "item 0: timestamps: `-2` is out of range (milliseconds since the Unix epoch, up to the year 9999)",
        ),
    ] {
        assert_eq!(refused(&batch), wanted);
    }
}

#[test]
fn limits_apply_and_are_reported_with_their_key() {
    let limits = BodyLimits {
        max_rows: 4,
        max_string_bytes: 5,
        ..BodyLimits::default()
    };
    let check =
        |batches: &[RecordBatch]| parsed(&stream(batches), &limits).unwrap_err().to_string();
    assert_eq!(
        check(&[frozen(0..2), frozen(2..5)]),
        "the body holds more than 4 items (send smaller batches, or raise `api.max_rows`)"
    );
    assert_eq!(
        check(&[frozen(0..2)]),
        "item 0: labels: a text of 11 bytes, at most 5 are allowed (shorten it, or raise `api.max_string_bytes`)"
    );
}

#[test]
fn a_wrong_column_is_reported() {
    let batch = foreign("a", &[], &[(1, 1.0)]);
    let without = |name: &str| {
        let mut batch = batch.clone();
        batch.remove_column(batch.schema().index_of(name).unwrap());
        batch
    };
    assert_eq!(refused(&without("labels")), "column `labels` is missing");
    let with = |name: &str, column: ArrayRef| {
        let other = without(name);
        let columns = other
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .zip(other.columns().to_vec())
            .collect::<Vec<_>>();
        RecordBatch::try_from_iter(columns.into_iter().chain([(name.to_owned(), column)])).unwrap()
    };
    let number = Arc::new(Float64Array::from(vec![1.0])) as ArrayRef;
    assert_eq!(
        refused(&with("name", number.clone())),
        "column `name` is Float64, not Utf8"
    );
    assert_eq!(
        refused(&with("timestamps", number.clone())),
        "column `timestamps` is Float64, not List<Int64>"
    );
    assert_eq!(
        refused(&with("labels", number)),
        "column `labels` is Float64, not a map of Utf8 to Utf8, each plain or Dictionary<Int32, Utf8>"
    );
    let null = Arc::new(StringArray::from(vec![None::<&str>])) as ArrayRef;
    assert_eq!(refused(&with("name", null)), "item 0: name: is null");
    let mut times = ListBuilder::new(Int64Builder::new());
    times.append(true);
    assert_eq!(
        refused(&with("timestamps", Arc::new(times.finish()))),
        "item 0: values: has 1 values for 0 timestamps"
    );
}

#[test]
fn missing_columns_of_alerts_are_null() {
    let columns: [(&str, ArrayRef); 2] = [
        ("alert_name", Arc::new(StringArray::from(vec!["a", "b"]))),
        (
            "severity",
            Arc::new(StringArray::from(vec![Some("Major"), None])),
        ),
    ];
    let plain = RecordBatch::try_from_iter(columns).unwrap();
    let batch = alerts_of(&stream(std::slice::from_ref(&plain))).unwrap();
    assert_eq!(batch.as_arrow().schema(), alert_schema());
    let read: Vec<_> = batch
        .alerts()
        .map(|a| (a.alert_name(), a.severity(), a.occur_time()))
        .collect();
    assert_eq!(
        read,
        [(Some("a"), Some("Major"), NOW), (Some("b"), None, NOW)]
    );

    let twice = alerts_of(&stream(&[plain.clone(), plain.clone()])).unwrap();
    assert_eq!(twice.rows(), 4);

    let nameless = plain.project(&[1]).unwrap();
    let error = alerts_of(&stream(&[nameless])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "item 0: has neither `alert_id` nor `alert_name`"
    );
}

#[test]
fn bytes_that_are_not_a_stream_are_refused() {
    let whole = stream(&[frozen(0..3)]);
    let check = |bytes: &[u8]| {
        parsed(bytes, &BodyLimits::default())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        check(&whole[..300]),
        "the body is not a valid Arrow stream: it is cut off"
    );
    assert_eq!(
        check(&[&whole[..], b"more"].concat()),
        "the body is not a valid Arrow stream: bytes follow its end"
    );
    assert!(check(b"[{\"name\": 1}]").starts_with("the body is not a valid Arrow stream: "));
}

#[test]
fn no_damaged_stream_panics_or_makes_an_unreadable_batch() {
    let whole = stream(&[foreign(
        "load",
        &[("a", "1"), ("b", "2")],
        &[(1, 1.0), (2, 2.0)],
    )]);
    let mut refused = 0;
    for at in 0..whole.len() {
        for flip in [0x01, 0x02, 0x40, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            match parsed(&damaged, &BodyLimits::default()) {
                Ok(batch) => drop(format!("{:?}", batch.series().collect::<Vec<_>>())),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 0);
}

/// A row as another writer may have it: a name, times and values, any of them may
/// be null.
type LooseRow<'a> = (Option<&'a str>, &'a [Option<i64>], &'a [Option<f64>]);

fn loose(rows: &[LooseRow<'_>]) -> RecordBatch {
    let mut labels = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    let mut times = ListBuilder::new(Int64Builder::new());
    let mut values = ListBuilder::new(Float64Builder::new());
    for (_, row_times, row_values) in rows {
        labels.keys().append_value("k");
        labels.values().append_value("v");
        labels.append(true).unwrap();
        times.append_value(row_times.iter().copied());
        values.append_value(row_values.iter().copied());
    }
    let names: StringArray = rows.iter().map(|(name, ..)| *name).collect();
    let columns: [(&str, ArrayRef); 4] = [
        ("name", Arc::new(names)),
        ("labels", Arc::new(labels.finish())),
        ("timestamps", Arc::new(times.finish())),
        ("values", Arc::new(values.finish())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn the_valid_rows_of_a_stream_are_accepted_and_the_others_reported() {
    let one = (&[Some(1)][..], &[Some(1.0)][..]);
    let first = loose(&[
        (Some("a"), one.0, one.1),
        (None, one.0, one.1),
        (Some("b"), &[Some(1), Some(2)], one.1),
        (Some("c"), &[None], one.1),
        (Some(""), one.0, one.1),
        (Some("d"), one.0, one.1),
    ]);
    let second = loose(&[
        (Some("e"), &[Some(-1)], one.1),
        (Some("f"), one.0, &[None]),
        (Some("g"), one.0, one.1),
    ]);
    let bytes = stream(&[first, second]);
    let items = performance(
        Cow::Borrowed(&bytes),
        &BodyLimits::default(),
        NOW,
        unlimited(),
    )
    .unwrap();
    let (batch, rejected) = (items.batch, items.rejected);
    let names: Vec<_> = batch.series().map(|series| series.name()).collect();
    assert_eq!(names, ["a", "d", "g"]);
    assert_eq!(batch.items(), 3);
    let said: Vec<_> = rejected
        .named()
        .map(|item| {
            let name = item.name.as_deref().unwrap_or("-");
            format!("{} {name}: {}", item.index, item.error)
        })
        .collect();
    assert_eq!(
        said,
        [
            "1 -: name: is null",
            "2 b: values: has 1 values for 2 timestamps",
            "3 c: timestamps: contains a null",
            "4 -: name: is empty",
            "6 e: timestamps: `-1` is out of range (milliseconds since the Unix epoch, up to the year 9999)",
            "7 f: values: contains a null",
        ]
    );
    assert_eq!(rejected.total(), 6);
}

#[test]
fn an_alert_with_a_null_time_occurred_now() {
    let columns: [(&str, ArrayRef); 2] = [
        (
            "alert_name",
            Arc::new(StringArray::from(vec!["a", "b", ""])),
        ),
        (
            "occur_time",
            Arc::new(Int64Array::from(vec![None, Some(5), Some(6)])),
        ),
    ];
    let bytes = stream(&[RecordBatch::try_from_iter(columns).unwrap()]);
    let items = alerts(
        Cow::Borrowed(&bytes),
        &BodyLimits::default(),
        NOW,
        unlimited(),
    )
    .unwrap();
    let (batch, rejected) = (items.batch, items.rejected);
    let times: Vec<_> = batch.alerts().map(|alert| alert.occur_time()).collect();
    assert_eq!(times, [NOW, 5]);
    let named: Vec<_> = rejected.named().map(|item| item.index).collect();
    assert_eq!(named, [2]);
}

#[test]
fn times_in_seconds_are_converted_and_counted() {
    let seconds = 1_600_000_000;
    let one = foreign("load", &[], &[(seconds * 1000, 1.0)]);
    let other = foreign("load", &[], &[(seconds, 2.0), (seconds * 1000 + 1, 3.0)]);
    let bytes = stream(&[one, other]);
    let items = performance(
        Cow::Borrowed(&bytes),
        &BodyLimits::default(),
        NOW,
        unlimited(),
    )
    .unwrap();
    let series = items.batch.series();
    let times: Vec<_> = series
        .flat_map(|series| series.timestamps().to_vec())
        .collect();
    let ms = seconds * 1000;
    assert_eq!(times, [ms, ms, ms + 1]);
    assert_eq!(items.notes.texts().count(), 1);

    let columns: [(&str, ArrayRef); 2] = [
        ("alert_name", Arc::new(StringArray::from(vec!["a", "b"]))),
        ("occur_time", Arc::new(Int64Array::from(vec![seconds, ms]))),
    ];
    let bytes = stream(&[RecordBatch::try_from_iter(columns).unwrap()]);
    let items = alerts(
        Cow::Borrowed(&bytes),
        &BodyLimits::default(),
        NOW,
        unlimited(),
    )
    .unwrap();
    let times: Vec<_> = items
        .batch
        .alerts()
        .map(|alert| alert.occur_time())
        .collect();
    assert_eq!(times, [ms, ms]);
    assert_eq!(items.notes.texts().count(), 1);
}
