use std::io::{self, Write};

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, NewAlert, PerformanceBatch, PerformanceBatchBuilder, Skipped,
    json::JsonBatch,
};
use serde_json::{Value, json};

use super::{CHUNK, Lines};

fn encode(batch: &impl JsonBatch) -> (String, Skipped) {
    let (mut text, mut buffer) = (Vec::new(), Vec::new());
    let mut lines = Lines::new(&mut buffer, &mut text);
    let skipped = lines.write(batch).unwrap();
    lines.finish().unwrap();
    (String::from_utf8(text).unwrap(), skipped)
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

#[test]
fn a_series_is_a_line_in_the_form_that_ingest_takes() {
    let mut batch = PerformanceBatchBuilder::new();
    let labels = [("storage_id", "a1"), ("unit", "IOPS")];
    let points = [(1_700_000_000_000, 12.5), (1_700_000_060_000, 0.1)];
    batch.series("readIops", labels, points).unwrap();
    let none: [(&str, &str); 0] = [];
    batch.series("cpuUsage", none, [(-1, -3.0)]).unwrap();
    let (text, skipped) = encode(&batch.build());
    assert_eq!(
        text,
        concat!(
            r#"{"name":"readIops","labels":{"storage_id":"a1","unit":"IOPS"},"#,
            r#""values":{"1700000000000":12.5,"1700000060000":0.1}}"#,
            "\n",
            r#"{"name":"cpuUsage","labels":{},"values":{"-1":-3.0}}"#,
            "\n",
        )
    );
    assert_eq!(skipped, Skipped::default());
}

#[test]
fn special_characters_in_labels_read_back_unchanged_and_stay_on_one_line() {
    let every_control: String = ('\0'..' ').collect();
    let special = [
        "",
        "\"",
        "\\",
        "a\nb\r\n",
        "\\u0041",
        "\u{7f}\u{85}\u{2028}",
        "é 東京 🦀",
        &every_control,
    ];
    for text in special {
        let (line, _) = encode(&series(&[(text, text)], &[]));
        assert_eq!(line.find('\n'), Some(line.len() - 1), "{line:?}");
        assert!(line.trim_end().bytes().all(|byte| byte >= b' '), "{line:?}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["labels"], json!({ text: text }));
    }
}

#[test]
fn every_finite_value_reads_back_bit_for_bit() {
    let values = [
        0.0,
        -0.0,
        1.0,
        0.1 + 0.2,
        1e21,
        -1.5e-9,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        9_007_199_254_740_993.0,
    ];
    for value in values {
        let (line, skipped) = encode(&series(&[], &[(i64::MIN, value)]));
        let number = line
            .strip_prefix(r#"{"name":"iops","labels":{},"values":{"-9223372036854775808":"#)
            .and_then(|rest| rest.strip_suffix("}}\n"))
            .unwrap();
        assert!(serde_json::from_str::<Value>(number).is_ok(), "{number}");
        let read: f64 = number.parse().unwrap();
        assert_eq!(read.to_bits(), value.to_bits(), "{number}");
        assert_eq!(skipped, Skipped::default());
    }
}

#[test]
fn nan_and_infinite_points_are_skipped_and_counted() {
    let points = [
        (1, f64::NAN),
        (2, 2.0),
        (3, f64::INFINITY),
        (4, 4.0),
        (5, f64::NEG_INFINITY),
    ];
    let (line, skipped) = encode(&series(&[], &points));
    assert_eq!(
        line,
        "{\"name\":\"iops\",\"labels\":{},\"values\":{\"2\":2.0,\"4\":4.0}}\n"
    );
    assert_eq!(skipped.non_finite_points, 3);
}

#[test]
fn a_series_without_points_is_still_a_line() {
    let (line, _) = encode(&series(&[], &[(1, f64::NAN)]));
    assert_eq!(line, "{\"name\":\"iops\",\"labels\":{},\"values\":{}}\n");
}

#[test]
fn an_alert_is_a_line_with_the_columns_that_it_has() {
    let (line, skipped) = encode(&alert(&[
        ("alert_id", "19660818"),
        ("sequence_number", "0"),
        ("rack", "7\t\"b\""),
    ]));
    assert_eq!(
        line,
        concat!(
            r#"{"alert_id":"19660818","sequence_number":"0","#,
            r#""occur_time":1700000000000,"rack":"7\t\"b\""}"#,
            "\n",
        )
    );
    assert_eq!(skipped, Skipped::default());
}

#[test]
fn an_alert_with_only_a_time_is_a_line() {
    let (line, _) = encode(&alert(&[]));
    assert_eq!(line, "{\"occur_time\":1700000000000}\n");
}

#[test]
fn an_extra_with_the_name_of_a_column_of_the_alert_is_skipped_and_counted() {
    let (line, skipped) = encode(&alert(&[("occur_time", "yesterday"), ("rack", "7")]));
    assert_eq!(line, "{\"occur_time\":1700000000000,\"rack\":\"7\"}\n");
    assert_eq!(skipped.clashing_extras, 1);
}

#[test]
fn a_series_of_a_million_points_is_written_in_chunks() {
    struct Pieces {
        longest: usize,
        sum: usize,
    }
    impl Write for Pieces {
        fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
            self.longest = self.longest.max(piece.len());
            self.sum += piece.len();
            Ok(piece.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let points: Vec<_> = (0..1_000_000).map(|time| (time, 0.5)).collect();
    let batch = series(&[], &points);
    let mut pieces = Pieces { longest: 0, sum: 0 };
    let mut buffer = Vec::new();
    let mut lines = Lines::new(&mut buffer, &mut pieces);
    lines.write(&batch).unwrap();
    lines.finish().unwrap();
    assert!(pieces.sum > 12_000_000, "{} bytes", pieces.sum);
    assert!(pieces.longest < 2 * CHUNK, "{} bytes", pieces.longest);
    assert!(buffer.capacity() <= 2 * CHUNK, "{}", buffer.capacity());
}

#[test]
fn text_that_a_failed_attempt_left_in_the_buffer_is_not_written() {
    let mut buffer = b"half a li".to_vec();
    let mut text = Vec::new();
    Lines::new(&mut buffer, &mut text).finish().unwrap();
    assert_eq!(text, b"");
}
