use crate::{
    AlertBatch, AlertBatchBuilder, Batch, NewAlert, PerformanceBatch, PerformanceBatchBuilder,
    Skipped, sample,
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, json, value::RawValue};

use super::*;

/// A message of Delfin's own exporter, recorded.
const DELFIN_MESSAGE: &str = include_str!("delfin.kafka.json");

const MANY: MessageLimits = MessageLimits {
    bytes: 1 << 20,
    rows: usize::MAX,
};
const ONE: MessageLimits = MessageLimits {
    bytes: 1 << 20,
    rows: 1,
};

/// A payload and its rows.
type Written = (Range<usize>, Vec<u8>);

fn payloads<B: MessageBatch>(
    batch: &B,
    format: MessageFormat,
    limits: MessageLimits,
) -> (Vec<Written>, Skipped) {
    let mut payloads = Vec::new();
    let take = |(rows, payload): Payload<'_>| {
        payloads.push((rows, payload.unwrap().to_vec()));
        Ok::<_, ()>(())
    };
    let encoded = format.encode(&batch.all(), limits, &mut vec![1, 2, 3], take);
    (payloads, encoded.unwrap())
}

fn text<B: MessageBatch>(batch: &B, format: MessageFormat, limits: MessageLimits) -> String {
    let (payloads, _) = payloads(batch, format, limits);
    let texts = payloads.into_iter().map(|(_, payload)| payload);
    let texts: Vec<_> = texts.map(|text| String::from_utf8(text).unwrap()).collect();
    texts.join("\n")
}

fn series(labels: &[(&str, &str)], points: &[(i64, f64)]) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    let (labels, points) = (labels.iter().copied(), points.iter().copied());
    batch.series("iops", labels, points).unwrap();
    batch.build()
}

fn alert(texts: &[(&str, &str)]) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    batch.alert(NewAlert {
        occur_time: 1_700_000_000_000,
        texts,
    });
    batch.build()
}

/// The members of an object, in order.
struct Members<V>(Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Members<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<V>(std::marker::PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for InOrder<V> {
            type Value = Members<V>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<V>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder(std::marker::PhantomData))
    }
}

#[test]
fn a_recorded_message_of_delfin_is_reproduced_byte_for_byte() {
    // Not `f64`: `serde_json` rounds some numbers differently.
    type Triple<'a> = (String, Members<String>, Members<&'a RawValue>);
    let triples: Vec<Triple<'_>> = serde_json::from_str(DELFIN_MESSAGE).unwrap();
    let mut batch = PerformanceBatchBuilder::new();
    for (name, Members(labels), Members(values)) in triples {
        let number =
            |(ms, value): &(String, &RawValue)| (ms.parse().unwrap(), value.get().parse().unwrap());
        let points = values.iter().map(number);
        batch.series(&name, labels, points).unwrap();
    }
    let written = text(&batch.build(), MessageFormat::Delfin, MANY);
    assert!(written == DELFIN_MESSAGE, "{written}");
}

#[test]
fn numbers_are_written_as_python_writes_them() {
    let check = |value: f64, expected: &str| {
        let written = text(&series(&[], &[(1, value)]), MessageFormat::Delfin, MANY);
        assert_eq!(written, format!(r#"[["iops", {{}}, {{"1": {expected}}}]]"#));
    };
    check(0.0, "0.0");
    check(-0.0, "-0.0");
    check(1.0, "1.0");
    check(0.1 + 0.2, "0.30000000000000004");
    check(0.0001, "0.0001");
    check(0.00012345, "0.00012345");
    check(9.999e-5, "9.999e-05");
    check(1e-5, "1e-05");
    check(-1e-5, "-1e-05");
    check(1.234e-7, "1.234e-07");
    check(-1.5e-9, "-1.5e-09");
    check(5e-324, "5e-324");
    check(1e15, "1000000000000000.0");
    check(9_007_199_254_740_992.0, "9007199254740992.0");
    check(1e16, "1e+16");
    check(1.5e16, "1.5e+16");
    check(123_456_789_012_345_680.0, "1.2345678901234568e+17");
    check(1e22, "1e+22");
    check(f64::MAX, "1.7976931348623157e+308");
    check(f64::MIN_POSITIVE, "2.2250738585072014e-308");
}

#[test]
fn texts_are_written_as_python_writes_them() {
    let check = |value: &str, expected: &str| {
        let written = text(&series(&[(value, value)], &[]), MessageFormat::Delfin, MANY);
        assert_eq!(
            written,
            format!(r#"[["iops", {{{expected}: {expected}}}, {{}}]]"#)
        );
    };
    check("", r#""""#);
    check("\"quoted\" \\ /", r#""\"quoted\" \\ /""#);
    check("line\nbreak\r\n\ttab", r#""line\nbreak\r\n\ttab""#);
    check("\0\u{1b}\u{7f}\u{8}\u{c}", r#""\u0000\u001b\u007f\b\f""#);
    check(
        "grüße 数据 🦀",
        r#""gr\u00fc\u00dfe \u6570\u636e \ud83e\udd80""#,
    );
    check("\u{2028}\u{feff}", r#""\u2028\ufeff""#);
}

#[test]
fn one_series_per_message_is_an_object_and_several_are_an_array() {
    let mut batch = PerformanceBatchBuilder::new();
    let labels = [("storage_id", "a1"), ("unit", "IOPS")];
    let points = [(1_700_000_000_000, 12.5), (1_700_000_060_000, 0.1)];
    batch.series("readIops", labels, points).unwrap();
    batch
        .series("cpuUsage", [("", ""); 0], [(-1, -3.0)])
        .unwrap();
    let batch = batch.build();
    let first = r#"{"name":"readIops","labels":{"storage_id":"a1","unit":"IOPS"},"values":{"1700000000000":12.5,"1700000060000":0.1}}"#;
    let second = r#"{"name":"cpuUsage","labels":{},"values":{"-1":-3.0}}"#;
    let (one, many) = (
        text(&batch, MessageFormat::Json, ONE),
        text(&batch, MessageFormat::Json, MANY),
    );
    assert_eq!(one, format!("{first}\n{second}"));
    assert_eq!(many, format!("[{first},{second}]"));
}

#[test]
fn each_row_has_its_own_labels_and_times() {
    let mut batch = PerformanceBatchBuilder::new();
    batch
        .series("a", [("k", "v"), ("l", "w")], [(1, 1.0), (2, 2.0)])
        .unwrap();
    batch
        .series("b", [("k", "v"), ("m", "w")], [(1, 3.0), (3, 4.0)])
        .unwrap();
    batch.series("c", [("l", "w")], [(2, 5.0)]).unwrap();
    batch
        .series("d", [("k", "v"), ("l", "w")], [(7, f64::NAN), (2, 6.0)])
        .unwrap();
    let (written, skipped) = payloads(&batch.build(), MessageFormat::Json, MANY);
    let read: Value = serde_json::from_slice(&written[0].1).unwrap();
    let expected = json!([
        {"name": "a", "labels": {"k": "v", "l": "w"}, "values": {"1": 1.0, "2": 2.0}},
        {"name": "b", "labels": {"k": "v", "m": "w"}, "values": {"1": 3.0, "3": 4.0}},
        {"name": "c", "labels": {"l": "w"}, "values": {"2": 5.0}},
        {"name": "d", "labels": {"k": "v", "l": "w"}, "values": {"2": 6.0}},
    ]);
    assert_eq!(read, expected);
    assert_eq!(skipped.non_finite_points, 1);
}

#[test]
fn nan_and_infinite_points_are_skipped_and_counted() {
    let points = [(1, f64::NAN), (2, 2.0), (3, f64::INFINITY), (4, 4.0)];
    let batch = series(&[], &points);
    for (format, values) in [
        (MessageFormat::Delfin, r#"{"2": 2.0, "4": 4.0}"#),
        (MessageFormat::Json, r#"{"2":2.0,"4":4.0}"#),
    ] {
        let (payloads, skipped) = payloads(&batch, format, MANY);
        let written = String::from_utf8(payloads[0].1.clone()).unwrap();
        assert!(written.contains(values), "{written}");
        assert_eq!(skipped.non_finite_points, 2);
    }
}

#[test]
fn an_alert_is_an_object_with_the_columns_that_it_has() {
    let texts = [("alert_id", "19660818"), ("rack", "7\t\"b\"")];
    let written = text(&alert(&texts), MessageFormat::Json, ONE);
    let expected = r#"{"alert_id":"19660818","occur_time":1700000000000,"rack":"7\t\"b\""}"#;
    assert_eq!(written, expected);
}

#[test]
fn an_extra_with_the_name_of_a_column_of_the_alert_is_skipped_and_counted() {
    let (payloads, skipped) = payloads(&alert(&[("occur_time", "now")]), MessageFormat::Json, ONE);
    assert_eq!(payloads[0].1, br#"{"occur_time":1700000000000}"#);
    assert_eq!(skipped.clashing_extras, 1);
}

#[test]
fn messages_stay_within_the_limits_and_hold_every_row_once_and_in_order() {
    let batch = sample::performance(500, 15);
    for format in [
        MessageFormat::Delfin,
        MessageFormat::Json,
        MessageFormat::Arrow,
    ] {
        for rows in [usize::MAX, 7, 1] {
            let bytes = 20_000;
            let (payloads, _) = payloads(&batch, format, MessageLimits { bytes, rows });
            let mut next = 0;
            for (range, payload) in &payloads {
                assert_eq!(range.start, next);
                assert!(
                    range.len() <= rows && payload.len() <= bytes,
                    "{format:?} {range:?}"
                );
                next = range.end;
            }
            assert_eq!(next, 500);
            // The estimate for Arrow must not make messages needlessly small.
            let fewest = if rows == usize::MAX { 15 } else { 500 / rows };
            assert!(
                payloads.len() <= 5 * fewest,
                "{format:?}: {}",
                payloads.len()
            );
        }
    }
}

#[test]
fn a_row_that_is_longer_than_the_limit_is_a_message_of_its_own() {
    let mut batch = PerformanceBatchBuilder::new();
    for points in [1, 1, 5000, 1, 1] {
        let points = (0..points).map(|ms| (ms, 1.5));
        batch.series("iops", [("storage_id", "s")], points).unwrap();
    }
    let batch = batch.build();
    let limits = MessageLimits {
        bytes: 10_000,
        ..MANY
    };
    for format in [
        MessageFormat::Delfin,
        MessageFormat::Json,
        MessageFormat::Arrow,
    ] {
        let (payloads, _) = payloads(&batch, format, limits);
        let ranges: Vec<_> = payloads.into_iter().map(|(range, _)| range).collect();
        assert_eq!(ranges, [0..2, 2..3, 3..5], "{format:?}");
    }
}

#[test]
fn an_arrow_stream_reads_back_as_its_rows() {
    let batch = sample::performance(100, 3);
    let limits = MessageLimits { rows: 40, ..MANY };
    let (payloads, _) = payloads(&batch, MessageFormat::Arrow, limits);
    assert_eq!(payloads.len(), 3);
    for (rows, payload) in payloads {
        let mut stream = arrow_ipc::reader::StreamReader::try_new(&*payload, None).unwrap();
        let read = PerformanceBatch::try_from_arrow(stream.next().unwrap().unwrap()).unwrap();
        assert!(stream.next().is_none());
        let expected: Vec<_> = batch.series().skip(rows.start).take(rows.len()).collect();
        let read: Vec<_> = read.series().collect();
        assert_eq!(format!("{read:?}"), format!("{expected:?}"));
    }
}

#[test]
fn alerts_read_back_from_arrow_with_their_extras() {
    let batch = alert(&[("alert_id", "1"), ("rack", "7"), ("storage_id", "s")]);
    let (payloads, _) = payloads(&batch, MessageFormat::Arrow, ONE);
    let mut stream = arrow_ipc::reader::StreamReader::try_new(&*payloads[0].1, None).unwrap();
    let read = AlertBatch::try_from_arrow(stream.next().unwrap().unwrap()).unwrap();
    let (read, expected): (Vec<_>, Vec<_>) = (read.alerts().collect(), batch.alerts().collect());
    assert_eq!(format!("{read:?}"), format!("{expected:?}"));
}
