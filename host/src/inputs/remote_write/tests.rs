use delfin_plugin_api::{Batch, protobuf::ProtobufWriter};
use proptest::prelude::*;

use super::*;
use crate::{
    ingest::{BodyLimits, MemoryClaim, ParseGuard},
    inputs::{ParsedSeries, SeriesInput, SeriesMappings, SkipReason},
};

const NOW: i64 = 1_700_000_000_000;

fn mappings() -> SeriesMappings {
    SeriesMappings::load(
        SeriesInput::RemoteWrite,
        std::path::Path::new("/nonexistent"),
    )
    .unwrap()
}

fn parse_within(
    message: RemoteWriteMessage,
    body: &[u8],
    limits: &BodyLimits,
    guard: ParseGuard,
) -> Result<ParsedSeries, IngestError> {
    let mappings = mappings();
    let mut writer = SeriesWriter::new(&mappings, limits, NOW, guard);
    read(message, body, &mut writer)?;
    Ok(writer.finish())
}

fn parse(message: RemoteWriteMessage, body: &[u8]) -> Result<ParsedSeries, String> {
    let limits = BodyLimits::default();
    let guard = ParseGuard::unlimited(&limits);
    parse_within(message, body, &limits, guard).map_err(|error| error.to_string())
}

fn sample(writer: &mut ProtobufWriter, time: i64, value: f64) {
    writer.double(1, value);
    writer.uint(2, time as u64);
}

/// Labels and samples.
type TestSeries<'a> = (&'a [(&'a str, &'a str)], &'a [(i64, f64)]);

/// A body of version 1.0.
fn v1(series: &[TestSeries<'_>]) -> Vec<u8> {
    let mut body = ProtobufWriter::default();
    for (labels, samples) in series {
        body.message(1, |one| {
            for (name, value) in *labels {
                one.message(1, |label| {
                    label.text(1, name);
                    label.text(2, value);
                });
            }
            for (time, value) in *samples {
                one.message(2, |point| sample(point, *time, *value));
            }
        });
    }
    body.as_bytes().to_vec()
}

/// A body of version 2.0 with one series of these numbers, and metadata of a counter with the unit of number 3.
fn v2(symbols: &[&str], refs: &[u64], samples: &[(i64, f64)]) -> Vec<u8> {
    let mut body = ProtobufWriter::default();
    body.message(5, |one| {
        one.message(1, |packed| {
            refs.iter().for_each(|number| packed.varint(*number))
        });
        for (time, value) in samples {
            one.message(2, |point| sample(point, *time, *value));
        }
        one.message(5, |metadata| {
            metadata.uint(1, 1);
            metadata.uint(4, 3);
        });
    });
    symbols.iter().for_each(|text| body.text(4, text));
    body.as_bytes().to_vec()
}

fn rows(parsed: &ParsedSeries) -> Vec<String> {
    let series = parsed.items.batch.series();
    series.map(|one| format!("{one:?}")).collect()
}

#[test]
fn the_type_of_the_content_says_which_message_it_is() {
    let found = RemoteWriteMessage::from_content_type;
    let (v1, v2) = (
        RemoteWriteMessage::WriteRequest,
        RemoteWriteMessage::Request,
    );
    assert_eq!(found("application/x-protobuf"), Some(v1));
    assert_eq!(
        found("application/x-protobuf;proto=prometheus.WriteRequest"),
        Some(v1)
    );
    assert_eq!(
        found("Application/X-Protobuf; proto=\"io.prometheus.write.v2.Request\""),
        Some(v2)
    );
    for other in ["", "application/json", "application/x-protobuf;proto=x"] {
        assert_eq!(found(other), None, "{other}");
    }
}

#[test]
fn both_versions_make_the_same_series_apart_from_metadata() {
    let labels = [
        ("__name__", "node_disk_reads_completed_total"),
        ("instance", "a7:9100"),
        ("device", "sda"),
    ];
    let samples = [(NOW, 5.0), (NOW + 1, 6.0)];
    let one = parse(
        RemoteWriteMessage::WriteRequest,
        &v1(&[(&labels, &samples)]),
    )
    .unwrap();
    let symbols = [
        "",
        "__name__",
        labels[0].1,
        "seconds",
        "instance",
        "a7:9100",
        "device",
        "sda",
    ];
    let two = v2(&symbols, &[1, 2, 4, 5, 6, 7], &samples);
    let two = parse(RemoteWriteMessage::Request, &two).unwrap();
    let series = one.items.batch.series().next().unwrap();
    assert_eq!(series.name(), labels[0].1);
    let found: Vec<_> = series.labels().iter().collect();
    assert_eq!(
        found,
        [
            ("storage_id", "a7:9100"),
            ("name", "a7:9100"),
            ("resource_type", "disk"),
            ("resource_id", "sda"),
            ("resource_name", "sda"),
            ("type", "RAW"),
            ("value_type", "gauge"),
            ("instance", "a7:9100"),
            ("device", "sda"),
        ]
    );
    assert_eq!(series.points().collect::<Vec<_>>(), samples);
    let with_metadata = two.items.batch.series().next().unwrap();
    assert_eq!(with_metadata.labels().get("value_type"), Some("counter"));
    assert_eq!(with_metadata.labels().get("unit"), Some("seconds"));
    assert_eq!(with_metadata.points().collect::<Vec<_>>(), samples);
}

#[test]
fn markers_and_values_that_are_no_number_are_counted() {
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let labels = [("__name__", "up"), ("instance", "a")];
    let samples = [(NOW, stale), (NOW + 1, f64::NAN), (NOW + 2, f64::INFINITY)];
    let parsed = v1(&[(&labels, &samples), (&labels, &[(NOW, 1.0)])]);
    let parsed = parse(RemoteWriteMessage::WriteRequest, &parsed).unwrap();
    assert_eq!(parsed.skipped.get(SkipReason::Stale), 1);
    assert_eq!(parsed.skipped.get(SkipReason::NotFinite), 2);
    assert_eq!(parsed.items.batch.items(), 1);
    assert_eq!(parsed.items.rejected.total(), 0);
}

#[test]
fn a_series_is_refused_by_itself_with_its_reason() {
    let good: &[_] = &[("__name__", "up"), ("instance", "a")];
    let check = |labels: &[(&str, &str)], samples: &[(i64, f64)], wanted: &str| {
        let body = v1(&[(labels, samples), (good, &[(NOW, 1.0)])]);
        let parsed = parse(RemoteWriteMessage::WriteRequest, &body).unwrap();
        let errors: Vec<_> = parsed.items.rejected.named().collect();
        assert_eq!(errors[0].error.to_string(), wanted);
        assert_eq!((errors.len(), errors[0].index), (1, 0));
        assert_eq!(parsed.rejected_points, samples.len() as u64);
        assert_eq!(parsed.items.batch.items(), 1);
    };
    check(
        &[("__name__", "up")],
        &[(NOW, 1.0)],
        "no rule of the mapping files gives it a `storage_id` (add a `[[series]]` rule)",
    );
    check(
        &[("instance", "a")],
        &[(NOW, 1.0)],
        "name: is empty (send a name, or set `name` in the rule of the mapping file)",
    );
    check(
        good,
        &[(NOW, 1.0), (NOW, 2.0)],
        "time: `1700000000000` comes twice",
    );
    check(
        good,
        &[(-1, 1.0)],
        "time: `-1` is out of range (milliseconds since the Unix epoch, up to the year 9999)",
    );
    check(
        &[
            ("__name__", "up"),
            ("instance", "a"),
            ("x", "1"),
            ("x", "2"),
        ],
        &[(NOW, 1.0)],
        "labels: label `x` comes twice",
    );
    check(
        &[("__name__", "up"), ("instance", "a"), ("__name__", "down")],
        &[(NOW, 1.0)],
        "labels: label `__name__` comes twice",
    );
    let many: Vec<_> = (0..300).map(|number| number.to_string()).collect();
    let many: Vec<_> = many.iter().map(|name| (&**name, "x")).collect();
    check(
        &[good, &many].concat(),
        &[(NOW, 1.0)],
        "labels: has more than 256 labels",
    );
    let long = "x".repeat(100_000);
    check(
        &[("__name__", "up"), ("instance", "a"), ("x", &long)],
        &[(NOW, 1.0)],
        "x: a text of 100000 bytes, at most 65536 are allowed (shorten it, or raise \
         `api.max_string_bytes`)",
    );
}

#[test]
fn symbols_that_do_not_exist_and_histograms_refuse_the_series() {
    let check = |body: &[u8], wanted: &str| {
        let parsed = parse(RemoteWriteMessage::Request, body).unwrap();
        let error = parsed.items.rejected.named().next().unwrap();
        assert_eq!(error.error.to_string(), wanted);
    };
    let symbols = ["", "__name__", "up", "s", "instance", "a"];
    let body = |refs: &[u64]| v2(&symbols, refs, &[(NOW, 1.0)]);
    check(&body(&[1, 2, 4, 99]), "labels: no symbol has the number 99");
    check(
        &body(&[1, 2, 4, u64::MAX]),
        "labels: no symbol has the number 18446744073709551615",
    );
    check(&body(&[1, 2, 4]), "labels: a label has a name and no value");
    let mut histogram = ProtobufWriter::default();
    histogram.message(5, |one| one.message(3, |_| {}));
    check(
        histogram.as_bytes(),
        "native histograms are not accepted (set `send_native_histograms: false` in Prometheus)",
    );
}

#[test]
fn a_label_with_the_name_of_one_of_delfins_is_kept_under_another_name() {
    let labels = [("__name__", "up"), ("instance", "a"), ("type", "x")];
    let parsed = parse(
        RemoteWriteMessage::WriteRequest,
        &v1(&[(&labels, &[(NOW, 1.0)])]),
    )
    .unwrap();
    let series = parsed.items.batch.series().next().unwrap();
    assert_eq!(series.labels().get("type"), Some("RAW"));
    assert_eq!(series.labels().get("exported_type"), Some("x"));
}

#[test]
fn a_series_of_the_page_of_a_host_becomes_what_it_was() {
    let labels = [
        ("__name__", "volume_readIops"),
        ("exported_instance", "b:8195"),
        ("instance", "a:8195"),
        ("job", "delfin"),
        ("resource_id", "v1"),
        ("resource_name", "volume 1"),
        ("resource_type", "volume"),
        ("site", "x"),
        ("storage_id", "s"),
        ("storage_name", "array"),
        ("storage_sn", "7"),
        ("type", "RAW"),
        ("unit", "IOPS"),
        ("value_type", "counter"),
    ];
    let body = v1(&[(&labels, &[(NOW, 1.0)])]);
    let parsed = parse(RemoteWriteMessage::WriteRequest, &body).unwrap();
    let series = parsed.items.batch.series().next().unwrap();
    assert_eq!(series.name(), "readIops");
    let found: Vec<_> = series.labels().iter().collect();
    let wanted = [
        ("storage_id", "s"),
        ("name", "array"),
        ("serial_number", "7"),
        ("resource_type", "volume"),
        ("resource_id", "v1"),
        ("resource_name", "volume 1"),
        ("type", "RAW"),
        ("unit", "IOPS"),
        ("value_type", "counter"),
        ("site", "x"),
    ];
    assert_eq!(found, wanted);
}

#[test]
fn a_body_costs_no_more_memory_than_there_is() {
    let mut symbols = ProtobufWriter::default();
    (0..4_000_000).for_each(|_| symbols.text(4, ""));
    let mut samples = ProtobufWriter::default();
    samples.message(1, |one| (0..4_000_000).for_each(|_| one.message(2, |_| {})));
    for (message, body) in [
        (RemoteWriteMessage::Request, symbols),
        (RemoteWriteMessage::WriteRequest, samples),
    ] {
        let limits = BodyLimits::default();
        let guard = ParseGuard::start(&limits, MemoryClaim::of_at_most(16 << 20));
        let refused = parse_within(message, body.as_bytes(), &limits, guard);
        let error = refused.unwrap_err().to_string();
        assert!(
            error.contains("more than 16777216 bytes of memory"),
            "{error}"
        );
    }
}

#[test]
fn rows_that_share_long_texts_are_limited_as_if_each_had_its_own() {
    let long = "x".repeat(60_000);
    let mut body = ProtobufWriter::default();
    for number in 0..100 {
        body.message(5, |one| {
            one.message(1, |packed| {
                [1, 2, 3, 4, 5, 6].map(|symbol| packed.varint(symbol))
            });
            one.message(2, |point| sample(point, NOW + number, 1.0));
        });
    }
    for text in ["", "__name__", "up", "instance", "a", "x", &long] {
        body.text(4, text);
    }
    let limits = BodyLimits {
        max_decompressed_bytes: 1 << 20,
        ..BodyLimits::default()
    };
    let guard = ParseGuard::unlimited(&limits);
    let refused = parse_within(RemoteWriteMessage::Request, body.as_bytes(), &limits, guard);
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("count for each row"), "{error}");
}

#[test]
fn a_body_that_is_something_else_is_refused_as_a_whole() {
    for message in [
        RemoteWriteMessage::WriteRequest,
        RemoteWriteMessage::Request,
    ] {
        let error = parse(message, b"<html>").unwrap_err();
        let wanted = format!(
            "the body is not a `{}`: not a message of Protocol Buffers",
            message.as_str()
        );
        assert_eq!(error, wanted);
    }
}

#[test]
fn a_body_without_a_field_of_its_message_is_refused() {
    let (one, two) = (
        RemoteWriteMessage::WriteRequest,
        RemoteWriteMessage::Request,
    );
    let check = |message: RemoteWriteMessage, body: &[u8], wanted: &str| {
        let wanted = format!("the body is not a `{}`: {wanted}", message.as_str());
        assert_eq!(parse(message, body).unwrap_err(), wanted);
    };
    let labels = [("__name__", "up"), ("instance", "a")];
    let of_one = v1(&[(&labels, &[(NOW, 1.0)])]);
    let symbols = ["", "__name__", "up", "s", "instance", "a"];
    let of_two = v2(&symbols, &[1, 2, 4, 5], &[(NOW, 1.0)]);
    let is_of_two = "field 5 is of `io.prometheus.write.v2.Request` (send the header `Content-Type: \
                     application/x-protobuf;proto=io.prometheus.write.v2.Request` with this body)";
    let is_of_one = "field 1 is of `prometheus.WriteRequest` (send the header `Content-Type: \
                     application/x-protobuf;proto=prometheus.WriteRequest` with this body)";
    check(one, &of_two, is_of_two);
    check(two, &of_one, is_of_one);
    // Of both versions.
    check(one, &[&*of_one, &of_two].concat(), is_of_two);
    check(two, &[&*of_two, &of_one].concat(), is_of_one);
    let mut other = ProtobufWriter::default();
    other.text(7, "x");
    for body in [b"", other.as_bytes()] {
        let nothing = "(send series, and the `Content-Type` of their message)";
        check(
            one,
            body,
            &format!("it has neither field 1 nor field 3 {nothing}"),
        );
        check(
            two,
            body,
            &format!("it has neither field 4 nor field 5 {nothing}"),
        );
    }
    let mut number = ProtobufWriter::default();
    number.uint(1, 7);
    check(one, number.as_bytes(), "field 1 has another type");
    // Metadata comes in requests without series, and further fields are for others.
    let mut metadata = ProtobufWriter::default();
    metadata.text(3, "");
    metadata.uint(1000, 1);
    assert_eq!(rows(&parse(one, metadata.as_bytes()).unwrap()), [""; 0]);
}

proptest! {
    #[test]
    fn no_body_crashes_the_decoders(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let labels = [("__name__", "up"), ("instance", "a")];
        let symbols = ["", "__name__", "up", "s", "instance", "a"];
        let valid = [
            v1(&[(&labels, &[(NOW, 1.0)])]),
            v2(&symbols, &[1, 2, 4, 5], &[(NOW, 1.0)]),
        ];
        for message in [RemoteWriteMessage::WriteRequest, RemoteWriteMessage::Request] {
            let _ = parse(message, &bytes);
            for valid in &valid {
                let mut changed = valid.clone();
                let at = at.index(changed.len());
                changed[at] = byte;
                let _ = parse(message, &changed);
                let _ = parse(message, &valid[..at]);
            }
        }
    }
}
