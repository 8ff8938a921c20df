//! Rows as JSON, in the form that the host's HTTP ingest accepts.
//!
//! A series is `{"name":…,"labels":{…},"values":{"<ms>":number}}`. An alert is an
//! object of the columns that it has and of its extras.
//!
//! ```
//! use delfin_plugin_api::{
//!     PerformanceBatchBuilder,
//!     json::{Compact, JsonBatch, JsonWriter},
//! };
//!
//! let mut batch = PerformanceBatchBuilder::new();
//! batch.series("iops", [("resource_id", "sda")], [(1_700_000_000_000, 12.5)])?;
//! let (mut writer, mut out) = (JsonWriter::<Compact>::new(), Vec::new());
//! for row in batch.build().json_rows() {
//!     writer.write(row, &mut out);
//! }
//! let expected = r#"{"name":"iops","labels":{"resource_id":"sda"},"values":{"1700000000000":12.5}}"#;
//! assert_eq!(String::from_utf8_lossy(&out), expected);
//! # Ok::<(), delfin_plugin_api::BatchError>(())
//! ```
//!
//! Promises: a reader gets back the very same number; a text stays on one line; a
//! [`JsonWriter`] allocates nothing for a point.

mod names;
mod row;
mod value;
mod writer;

use crate::Alert;

pub use names::write_texts;
pub use row::{JsonBatch, JsonRow};
pub use value::{alert_object, series_object};
pub use writer::JsonWriter;

/// A way to write JSON.
pub trait Style {
    /// The text before, between and after the name, the labels and the values of a
    /// series.
    const SERIES: [&'static str; 4];

    /// The separator of elements of an array and of members of an object.
    const COMMA: &'static str;

    /// The separator of a key and its value.
    const COLON: &'static str;

    /// Writes a text, with its quotes.
    fn text(text: &str, out: &mut Vec<u8>);

    /// Writes a number that is neither NaN nor infinite.
    fn number(number: f64, out: &mut Vec<u8>);
}

/// Objects without white space; text that is not ASCII is not escaped.
#[derive(Debug)]
pub enum Compact {}

impl Style for Compact {
    const SERIES: [&'static str; 4] = ["{\"name\":", ",\"labels\":", ",\"values\":", "}"];
    const COMMA: &'static str = ",";
    const COLON: &'static str = ":";

    fn text(text: &str, out: &mut Vec<u8>) {
        if is_plain(text) {
            out.reserve(text.len() + 2);
            out.push(b'"');
            out.extend_from_slice(text.as_bytes());
            out.push(b'"');
        } else {
            // Serializing a text fails only with its writer, and a vector never fails.
            serde_json::to_writer(out, text).ok();
        }
    }

    fn number(number: f64, out: &mut Vec<u8>) {
        out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
    }
}

/// Whether nothing in a text is escaped. Looks at every byte, so that the compiler looks at many at once.
fn is_plain(text: &str) -> bool {
    let is_escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    !text
        .bytes()
        .fold(false, |found, byte| found | is_escaped(byte))
}

/// The extras of an alert without those that have the name of one of its columns:
/// an object has a key once.
fn unique_extras(alert: Alert<'_>) -> impl Iterator<Item = (&str, &str)> {
    let has_column =
        move |key: &str| key == "occur_time" || alert.texts().any(|(column, _)| column == key);
    let extras = alert.extra().into_iter();
    extras.filter(move |(key, _)| !has_column(key))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{AlertBatchBuilder, NewAlert, PerformanceBatch, PerformanceBatchBuilder};

    fn series(points: &[(i64, f64)]) -> PerformanceBatch {
        let mut batch = PerformanceBatchBuilder::new();
        let points = points.iter().copied();
        batch.series("iops", [("k", "\n東")], points).unwrap();
        batch.build()
    }

    fn text(batch: &PerformanceBatch) -> (String, u64) {
        let (mut writer, mut out) = (JsonWriter::<Compact>::new(), Vec::new());
        for series in batch.series() {
            writer.write(series, &mut out);
        }
        let skipped = writer.skipped().non_finite_points;
        (String::from_utf8(out).unwrap(), skipped)
    }

    #[test]
    fn a_series_is_an_object_and_non_finite_points_are_skipped_and_counted() {
        let batch = series(&[
            (-1, f64::NAN),
            (2, 0.1 + 0.2),
            (3, f64::INFINITY),
            (4, -0.0),
        ]);
        let expected =
            r#"{"name":"iops","labels":{"k":"\n東"},"values":{"2":0.30000000000000004,"4":-0.0}}"#;
        assert_eq!(text(&batch), (expected.to_owned(), 2));
    }

    #[test]
    fn a_text_is_escaped_where_json_needs_it() {
        for character in (0..256).filter_map(char::from_u32) {
            for text in [
                format!("{character}"),
                format!("a text before {character} and one after it"),
            ] {
                let mut out = Vec::new();
                Compact::text(&text, &mut out);
                assert_eq!(out, serde_json::to_vec(&text).unwrap());
            }
        }
    }

    #[test]
    fn rows_of_several_batches_have_the_labels_of_their_own() {
        let batches = ["sda", "sdb"].map(|disk| {
            let mut batch = PerformanceBatchBuilder::new();
            for name in ["load", "iops"] {
                batch.series(name, [("disk", disk)], [(1, 0.5)]).unwrap();
            }
            batch.build()
        });
        let (mut writer, mut out) = (JsonWriter::<Compact>::new(), Vec::new());
        for (one, other) in batches[0].series().zip(batches[1].series()) {
            for (series, disk) in [(one, "sda"), (other, "sdb"), (other, "sdb")] {
                out.clear();
                writer.write(series, &mut out);
                let row: Value = serde_json::from_slice(&out).unwrap();
                assert_eq!(row["labels"]["disk"], disk);
            }
        }
    }

    #[test]
    fn labels_are_right_however_many_and_long_they_are() {
        let value = |row: usize| format!("{row}-{}", "é\n".repeat(row % 70));
        let mut batch = PerformanceBatchBuilder::new();
        for row in (0..300).chain(0..300) {
            let (id, parent) = (value(row), value(row / 2));
            let labels = [("id", &*id), ("unit", "%"), ("parent", &*parent)];
            let labels = labels.into_iter().skip(row % 3);
            batch.series("iops", labels, [(1, 0.5)]).unwrap();
        }
        let (mut writer, mut out) = (JsonWriter::<Compact>::new(), Vec::new());
        for series in batch.build().series() {
            out.clear();
            writer.write(series, &mut out);
            let row: Value = serde_json::from_slice(&out).unwrap();
            let labels = series.labels().into_iter();
            let wanted = labels.map(|(key, value)| (key.to_owned(), Value::from(value)));
            assert_eq!(row["labels"], Value::Object(wanted.collect()));
        }
    }

    #[test]
    fn each_point_of_a_long_series_has_its_own_time() {
        let points: Vec<_> = (0..5000).map(|ms| (ms, 0.5)).collect();
        let values: Vec<_> = (0..5000).map(|ms| format!("\"{ms}\":0.5")).collect();
        let (text, _) = text(&series(&points));
        assert!(text.ends_with(&format!("{{{}}}}}", values.join(","))));
    }

    #[test]
    fn an_extra_with_the_name_of_a_column_is_skipped_and_counted() {
        let mut batch = AlertBatchBuilder::new();
        batch.alert(NewAlert {
            occur_time: 5,
            texts: &[("alert_id", "7"), ("occur_time", "now"), ("rack", "\"9\"")],
        });
        let batch = batch.build();
        let (mut writer, mut out) = (JsonWriter::<Compact>::new(), Vec::new());
        for alert in batch.alerts() {
            writer.write(alert, &mut out);
        }
        let expected = br#"{"alert_id":"7","occur_time":5,"rack":"\"9\""}"#;
        assert_eq!(out, expected);
        assert_eq!(writer.skipped().clashing_extras, 1);
    }

    #[test]
    fn draining_in_between_gives_the_same_text() {
        let points: Vec<_> = (0..300).map(|ms| (ms, 1.5)).collect();
        let batch = series(&points);
        let (mut writer, mut buffer, mut all) =
            (JsonWriter::<Compact>::new(), Vec::new(), Vec::new());
        let mut longest = 0;
        for series in batch.series() {
            let mut drain = |buffer: &mut Vec<u8>| {
                longest = longest.max(buffer.len());
                all.append(buffer);
                Ok::<_, ()>(())
            };
            writer
                .write_draining(series, &mut buffer, &mut drain)
                .unwrap();
        }
        all.append(&mut buffer);
        assert_eq!(String::from_utf8(all).unwrap(), text(&batch).0);
        assert!(longest < 64, "{longest}");
    }

    #[test]
    fn an_error_of_drain_ends_the_row() {
        let batch = series(&[(1, 1.0)]);
        for series in batch.series() {
            let mut writer = JsonWriter::<Compact>::new();
            let full = writer.write_draining(series, &mut Vec::new(), &mut |_| Err("full"));
            assert_eq!(full, Err("full"));
        }
    }

    #[test]
    fn the_value_of_a_row_is_what_the_writer_writes() {
        let batch = series(&[(-1, f64::NAN), (2, 0.1 + 0.2), (4, -0.0)]);
        for row in batch.series() {
            let written: Value = serde_json::from_str(&text(&batch).0).unwrap();
            assert_eq!(written, Value::Object(series_object(row)));
        }
        let mut batch = AlertBatchBuilder::new();
        batch.alert(NewAlert {
            occur_time: 5,
            texts: &[("alert_id", "7"), ("occur_time", "now"), ("rack", "9")],
        });
        for row in batch.build().alerts() {
            let mut out = Vec::new();
            JsonWriter::<Compact>::new().write(row, &mut out);
            let written: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(written, Value::Object(alert_object(row)));
        }
    }
}
