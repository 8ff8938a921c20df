//! Rows as JSON, in the form in which a host takes them in.
//!
//! A series is `{"name":…,"labels":{…},"values":{"<ms>":number}}`, an alert an
//! object of the columns that it has. Rows are written in one pass, and nothing
//! is allocated for a point.
//!
//! Promises: a number reads back as the very same; a text stays on one line.

mod writer;

pub use writer::Writer;

/// A way to write JSON.
pub trait Style {
    /// What stands before, between and after the three parts of a series.
    const SERIES: [&'static str; 4];

    /// Between the elements of an array or the members of an object.
    const COMMA: &'static str;

    /// Between a key and its value.
    const COLON: &'static str;

    /// Writes a text, with its quotes.
    fn text(text: &str, out: &mut Vec<u8>);

    /// Writes a number that is neither NaN nor infinite.
    fn number(number: f64, out: &mut Vec<u8>);
}

/// Objects, text that is not ASCII as it is, and not a needless byte.
#[derive(Debug)]
pub enum Compact {}

impl Style for Compact {
    const SERIES: [&'static str; 4] = ["{\"name\":", ",\"labels\":", ",\"values\":", "}"];
    const COMMA: &'static str = ",";
    const COLON: &'static str = ":";

    fn text(text: &str, out: &mut Vec<u8>) {
        // Only a writer can fail, and a vector does not.
        serde_json::to_writer(out, text).ok();
    }

    fn number(number: f64, out: &mut Vec<u8>) {
        out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AlertBatchBuilder, NewAlert, PerformanceBatch, PerformanceBatchBuilder};

    fn series(points: &[(i64, f64)]) -> PerformanceBatch {
        let mut batch = PerformanceBatchBuilder::new();
        let points = points.iter().copied();
        batch.series("iops", [("k", "\n東")], points).unwrap();
        batch.build()
    }

    fn text(batch: &PerformanceBatch) -> (String, u64) {
        let (mut writer, mut out) = (Writer::<Compact>::new(), Vec::new());
        for series in batch.series() {
            writer.series(series, &mut out);
        }
        let left_out = writer.left_out().non_finite_points;
        (String::from_utf8(out).unwrap(), left_out)
    }

    #[test]
    fn a_series_is_an_object_and_what_is_no_number_is_left_out_and_counted() {
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
    fn every_time_of_a_long_series_is_its_own() {
        let points: Vec<_> = (0..5000).map(|ms| (ms, 0.5)).collect();
        let values: Vec<_> = (0..5000).map(|ms| format!("\"{ms}\":0.5")).collect();
        let (text, _) = text(&series(&points));
        assert!(text.ends_with(&format!("{{{}}}}}", values.join(","))));
    }

    #[test]
    fn an_extra_that_is_named_like_a_column_of_the_alert_is_left_out_and_counted() {
        let mut batch = AlertBatchBuilder::new();
        batch.alert(NewAlert {
            occur_time: 5,
            texts: &[("alert_id", "7"), ("occur_time", "now"), ("rack", "\"9\"")],
        });
        let batch = batch.build();
        let (mut writer, mut out) = (Writer::<Compact>::new(), Vec::new());
        for alert in batch.alerts() {
            writer.alert(alert, &mut out);
        }
        let expected = br#"{"alert_id":"7","occur_time":5,"rack":"\"9\""}"#;
        assert_eq!(out, expected);
        assert_eq!(writer.left_out().clashing_extras, 1);
    }

    #[test]
    fn what_was_drained_in_between_is_the_same_text() {
        let points: Vec<_> = (0..300).map(|ms| (ms, 1.5)).collect();
        let batch = series(&points);
        let (mut writer, mut held, mut all) = (Writer::<Compact>::new(), Vec::new(), Vec::new());
        let mut longest = 0;
        for series in batch.series() {
            let mut drain = |held: &mut Vec<u8>| {
                longest = longest.max(held.len());
                all.append(held);
                Ok::<_, ()>(())
            };
            writer
                .series_through(series, &mut held, &mut drain)
                .unwrap();
        }
        all.append(&mut held);
        assert_eq!(String::from_utf8(all).unwrap(), text(&batch).0);
        assert!(longest < 64, "{longest}");
    }

    #[test]
    fn a_drain_that_fails_ends_the_row() {
        let batch = series(&[(1, 1.0)]);
        for series in batch.series() {
            let mut writer = Writer::<Compact>::new();
            let full = writer.series_through(series, &mut Vec::new(), &mut |_| Err("full"));
            assert_eq!(full, Err("full"));
        }
    }
}
