use delfin_plugin_api::{PerformanceBatch, PerformanceBatchBuilder};

use super::*;

/// A batch of one series.
fn batch(labels: &[(&str, &str)], points: &[(i64, f64)]) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    let labels = labels.iter().copied();
    batch
        .series("iops", labels, points.iter().copied())
        .unwrap();
    batch.build()
}

fn encode(protocol: Protocol, batches: &[&PerformanceBatch]) -> WriteRequest {
    let mut request = WriteRequest::default();
    request.clear(protocol);
    for series in batches.iter().flat_map(|batch| batch.series()) {
        request.push(&series);
    }
    request.finish();
    request
}

fn labels(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    let batch = batch(labels, &[(1, 1.0)]);
    let mut read = SeriesLabels::default();
    batch.series().for_each(|series| read.read(&series));
    let owned = read.iter();
    owned
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

const SAMPLE: &[u8] = b"\x12\x0c\x09\0\0\0\0\0\0\xf0\x3f\x10\xe8\x07";

#[test]
fn version_1_has_the_bytes_of_its_schema() {
    let counter = batch(
        &[("value_type", "counter"), ("unit", "IOPS")],
        &[(1000, 1.0)],
    );
    let request = encode(Protocol::V1, &[&counter, &counter]);
    let series = [
        b"\x0a\x10\x0a\x08__name__\x12\x04iops".as_slice(),
        b"\x0a\x0b\x0a\x04type\x12\x03RAW",
        b"\x0a\x0c\x0a\x04unit\x12\x04IOPS",
        b"\x0a\x15\x0a\x0avalue_type\x12\x07counter",
        SAMPLE,
    ]
    .concat();
    let series = [b"\x0a", &[series.len() as u8][..], &series].concat();
    let metadata = b"\x1a\x0e\x08\x01\x12\x04iops\x2a\x04IOPS";
    assert_eq!(
        request.message.as_bytes(),
        [&series, metadata.as_slice(), &series].concat()
    );
}

#[test]
fn version_2_has_the_bytes_of_its_schema() {
    let gauge = batch(&[("unit", "IOPS")], &[(1000, 1.0)]);
    let request = encode(Protocol::V2, &[&gauge]);
    let series = [
        b"\x0a\x08\x01\x02\x03\x04\x05\x06\x07\x08".as_slice(),
        SAMPLE,
        b"\x2a\x04\x08\x02\x20\x06",
    ]
    .concat();
    let mut expected = [b"\x2a", &[series.len() as u8][..], &series].concat();
    for symbol in [
        "",
        "__name__",
        "iops",
        "type",
        "RAW",
        "unit",
        "IOPS",
        "value_type",
        "gauge",
    ] {
        expected.extend([0x22, symbol.len() as u8]);
        expected.extend(symbol.bytes());
    }
    assert_eq!(request.message.as_bytes(), expected);
}

#[test]
fn labels_are_ordered_and_their_values_are_kept() {
    let long = "x".repeat(10_000);
    let awkward = "\"quoted\" \\ line\nbreak\0 🦀";
    let found = labels(&[
        ("zone", awkward),
        ("resource_type", "disk"),
        ("Rack", &long),
        ("empty", ""),
        ("a-b", "1"),
        ("a.b", "2"),
    ]);
    let expected = [
        ("Rack", &*long),
        ("__name__", "disk_iops"),
        ("a_b", "1;2"),
        ("resource_type", "disk"),
        ("type", "RAW"),
        ("value_type", "gauge"),
        ("zone", awkward),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(found, expected);
}

#[test]
fn points_are_ascending_and_each_time_occurs_once() {
    let batch = batch(
        &[],
        &[(3, 1.0), (1, 2.0), (3, f64::NAN), (2, f64::INFINITY)],
    );
    let mut points = Vec::new();
    for series in batch.series() {
        assert_eq!(ascending_points(&series, &mut points), 1);
    }
    let points: Vec<_> = points
        .iter()
        .map(|&(time, value)| (time, value.to_bits()))
        .collect();
    // Not the NaN that ends a series in Prometheus, 0x7ff0000000000002.
    let nan = 0x7ff8_0000_0000_0001;
    assert_eq!(
        points,
        [
            (1, 2.0_f64.to_bits()),
            (2, f64::INFINITY.to_bits()),
            (3, nan)
        ]
    );
}
