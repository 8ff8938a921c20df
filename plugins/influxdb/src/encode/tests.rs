use delfin_plugin_api::{AlertBatchBuilder, NewAlert, PerformanceBatchBuilder};

use super::*;

const ACCEPTED_MS: i64 = 1_700_000_000_123;

fn part(first_row: usize, rows: usize, accepted_ms: i64) -> BatchPart<'static> {
    BatchPart {
        batch_id: Default::default(),
        first_row,
        batch_row: 0,
        rows,
        accepted_ms,
        storage_id: None,
        complete: false,
    }
}

fn lines(batch: &impl LineBatch) -> (Vec<String>, Skipped) {
    let mut buffer = LineBuffer::default();
    let skipped = batch.encode(&[part(0, batch.rows(), ACCEPTED_MS)], &mut buffer);
    let text = String::from_utf8(buffer.text).unwrap();
    (text.lines().map(str::to_owned).collect(), skipped)
}

/// The line of one point of a series with these labels.
fn line(name: &str, labels: &[(&str, &str)]) -> String {
    let mut batch = PerformanceBatchBuilder::new();
    batch
        .series(name, labels.iter().copied(), [(1, 0.5)])
        .unwrap();
    lines(&batch.build()).0.remove(0)
}

fn alert_lines(alerts: &[(i64, &[(&str, &str)])]) -> Vec<String> {
    let mut batch = AlertBatchBuilder::new();
    for &(occur_time, texts) in alerts {
        batch.alert(NewAlert { occur_time, texts });
    }
    lines(&batch.build()).0
}

/// The time at the end of a line.
fn time(line: &str) -> i64 {
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn each_point_is_a_line_with_the_labels_as_tags() {
    let mut batch = PerformanceBatchBuilder::new();
    let labels = [
        ("storage_id", "s"),
        ("resource_type", "volume"),
        ("resource_id", "v 1"),
        ("unit", ""),
    ];
    batch
        .series("readIops", labels, [(1000, 12.5), (2000, 1e-9)])
        .unwrap();
    let expected = [
        "volume,resource_id=v\\ 1,storage_id=s readIops=12.5 1000",
        "volume,resource_id=v\\ 1,storage_id=s readIops=1e-9 2000",
    ];
    assert_eq!(
        lines(&batch.build()),
        (expected.map(str::to_owned).to_vec(), Skipped::default())
    );
}

#[test]
fn nan_and_infinite_points_are_skipped_and_counted() {
    let mut batch = PerformanceBatchBuilder::new();
    let points = [
        (1, f64::NAN),
        (2, 2.0),
        (3, f64::INFINITY),
        (4, f64::MAX),
        (5, -0.0),
    ];
    batch.series("a", [("k", "v")], points).unwrap();
    let (lines, skipped) = lines(&batch.build());
    assert_eq!(skipped.non_finite_points, 2);
    let expected = ["2.0 2", "1.7976931348623157e+308 4", "-0.0 5"];
    assert_eq!(lines, expected.map(|end| format!("delfin,k=v a={end}")));
}

#[test]
fn awkward_texts_are_escaped_and_reserved_names_get_a_prefix() {
    let check = |text: &str, written: &str| {
        assert_eq!(
            line("a", &[("k", text)]),
            format!("delfin,k={written} a=0.5 1")
        );
    };
    check("a,b=c d", "a\\,b\\=c\\ d");
    check("\"quoted\" \\back\\slash", "\"quoted\"\\ \\back\\slash");
    check("end\\", "end/");
    check("C:\\ a\\,b\\\\", "C:/\\ a/\\,b\\/");
    check("line\nbreak\r\t\0\u{85}", "line\\nbreak\\r\\t\\0\\u{85}");
    check("grüße 🦀", "grüße\\ 🦀");
    assert_eq!(
        line(
            "time",
            &[("", "e"), ("time", "t"), ("_field", "f"), ("a b", "x")]
        ),
        "delfin,a\\ b=x,delfin_=e,delfin__field=f,delfin_time=t delfin_time=0.5 1"
    );
    assert_eq!(line("a", &[("resource_type", "#x")]), "delfin_#x a=0.5 1");
    let same = [("time", "b"), ("delfin_time", "a")];
    assert_eq!(line("a", &same), "delfin,delfin_time=a;b a=0.5 1");
    let long = "x".repeat(10_000);
    check(&long, &long);
}

#[test]
fn an_alert_is_a_line_with_text_fields() {
    let texts = [
        ("storage_id", "s"),
        ("alert_id", "7"),
        ("severity", "Major"),
        ("description", "say \"no\" \\ now"),
        ("location", ""),
        ("fan 1", "a"),
    ];
    let line = &alert_lines(&[(1_600_000_000_250, &texts)])[0];
    let (start, _) = line.rsplit_once(' ').unwrap();
    assert_eq!(
        start,
        "alert,severity=Major,storage_id=s count=1i,alert_id=\"7\",\
         description=\"say \\\"no\\\" \\\\ now\",extra_fan\\ 1=\"a\""
    );
    assert_eq!(time(line) / 1_000_000, 1_600_000_000_250);
}

#[test]
fn other_alerts_of_the_same_millisecond_have_another_time() {
    let first: &[_] = &[("alert_id", "1")];
    let second: &[_] = &[("alert_id", "2")];
    let lines = alert_lines(&[(5, first), (5, second), (5, first)]);
    assert_eq!(lines[0], lines[2]);
    assert_ne!(time(&lines[0]), time(&lines[1]));
    assert!(lines.iter().all(|line| time(line) / 1_000_000 == 5));
}

#[test]
fn an_alert_without_a_time_has_that_of_its_batch() {
    let mut batch = AlertBatchBuilder::new();
    for occur_time in [0, -1, i64::MIN, i64::MAX] {
        batch.alert(NewAlert {
            occur_time,
            texts: &[],
        });
    }
    let mut buffer = LineBuffer::default();
    let parts = [part(0, 2, 7), part(2, 2, 8)];
    batch.build().encode(&parts, &mut buffer);
    let text = String::from_utf8(buffer.text).unwrap();
    let times: Vec<_> = text.lines().map(|line| time(line) / 1_000_000).collect();
    assert_eq!(times, [7, 7, 8, 8]);
}

#[test]
fn a_line_belongs_to_its_row() {
    let mut batch = PerformanceBatchBuilder::new();
    for points in [2, 0, 3] {
        let points = (0..points).map(|time| (time, 1.0));
        batch.series("a", [("k", "v")], points).unwrap();
    }
    let mut buffer = LineBuffer::default();
    batch.build().encode(&[], &mut buffer);
    let rows: Vec<_> = (0..6).map(|line| buffer.row_of_line(line)).collect();
    assert_eq!(rows, [Some(0), Some(0), Some(2), Some(2), Some(2), None]);
}
