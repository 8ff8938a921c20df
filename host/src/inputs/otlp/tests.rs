use std::path::Path;

use delfin_plugin_api::{Batch, protobuf::ProtobufWriter};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    ingest::{BodyLimits, MemoryClaim, ParseGuard},
    inputs::{ParsedSeries, SeriesInput, SeriesMappings, SkipReason},
};

const NOW: i64 = 1_700_000_000_000;
const TIME: &str = "1700000000000000000";

fn parse_within(
    encoding: OtlpEncoding,
    body: &[u8],
    guard: ParseGuard,
) -> Result<ParsedSeries, String> {
    let mappings = SeriesMappings::load(SeriesInput::Otlp, Path::new("/nonexistent")).unwrap();
    let mut writer = SeriesWriter::new(&mappings, &BodyLimits::default(), NOW, guard);
    let read = read(encoding, body, &mut writer);
    read.map(|()| writer.finish())
        .map_err(|error| error.to_string())
}

fn parse(encoding: OtlpEncoding, body: &[u8]) -> Result<ParsedSeries, String> {
    parse_within(
        encoding,
        body,
        ParseGuard::unlimited(&BodyLimits::default()),
    )
}

fn request(metrics: Value) -> Value {
    let attribute = |key: &str, value: Value| json!({"key": key, "value": value});
    json!({"resourceMetrics": [{
        "resource": {"attributes": [
            attribute("host.name", json!({"stringValue": "a7"})),
            attribute("site", json!({"stringValue": "of the resource"})),
        ]},
        "scopeMetrics": [{"scope": {"name": "x"}, "metrics": metrics}],
        "schemaUrl": "ignored",
    }]})
}

fn parse_json(metrics: Value) -> ParsedSeries {
    parse(OtlpEncoding::Json, request(metrics).to_string().as_bytes()).unwrap()
}

/// Name, labels that differ from series to series, and value.
fn rows(parsed: &ParsedSeries) -> Vec<String> {
    let series = parsed.items.batch.series();
    let row = |one: delfin_plugin_api::Series<'_>| {
        let labels = [
            "resource_type",
            "resource_id",
            "unit",
            "value_type",
            "quantile",
        ];
        let labels = labels.map(|key| one.labels().get(key).unwrap_or("-"));
        let (time, value) = one.points().next().unwrap();
        assert_eq!((time, one.points().len()), (NOW, 1));
        format!("{} {} {value}", one.name(), labels.join(" "))
    };
    series.map(row).collect()
}

#[test]
fn every_kind_of_metric_becomes_series() {
    let point = json!({"timeUnixNano": TIME, "asInt": "-3"});
    let parsed = parse_json(json!([
        {"name": "g", "unit": "By", "gauge": {"dataPoints": [{"timeUnixNano": TIME, "asDouble": 0.5}]}},
        {"name": "c", "sum": {"dataPoints": [point], "aggregationTemporality": 2, "isMonotonic": true}},
        {"name": "u", "sum": {"dataPoints": [point], "aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE"}},
        {"name": "d", "sum": {"dataPoints": [point], "aggregationTemporality": 1, "isMonotonic": true}},
        {"name": "h", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [
            {"timeUnixNano": TIME, "count": "4", "sum": 2.5, "bucketCounts": ["4"], "explicitBounds": []}]}},
        {"name": "e", "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [
            {"timeUnixNano": TIME, "count": 2, "scale": 1}]}},
        {"name": "s", "summary": {"dataPoints": [
            {"timeUnixNano": TIME, "count": "4", "sum": 8, "quantileValues": [{"quantile": 0.5, "value": 2}]}]}},
    ]));
    assert_eq!(
        rows(&parsed),
        [
            "g storage a7 By gauge - 0.5",
            "c storage a7 - counter - -3",
            "u storage a7 - gauge - -3",
            "d storage a7 - delta - -3",
            "h_count storage a7 1 counter - 4",
            "h_sum storage a7 s counter - 2.5",
            "e_count storage a7 1 delta - 2",
            "s_count storage a7 1 counter - 4",
            "s_sum storage a7 - counter - 8",
            "s storage a7 - gauge 0.5 2",
        ]
    );
}

/// Requests with the points of a metric whose resource has megabytes of attributes.
#[test]
fn points_of_one_series_are_one_row_and_share_long_attributes() {
    let site = |number: u64| json!({"key": "site", "value": {"stringValue": number.to_string()}});
    let point = |ms: u64, number: u64| {
        let time = (1_700_000_000_000 + ms) * 1_000_000;
        json!({"timeUnixNano": time.to_string(), "asInt": 1, "count": 2, "attributes": [site(number)]})
    };
    let long = "x".repeat(60_000);
    let many =
        (0..100).map(|number| json!({"key": format!("k{number}"), "value": {"stringValue": long}}));
    let parse_points = |points: Vec<Value>, kind: &str| {
        let data = json!({"dataPoints": points, "aggregationTemporality": 2});
        let mut body = request(json!([{"name": "m", kind: data}]));
        let attributes = &mut body["resourceMetrics"][0]["resource"]["attributes"];
        attributes.as_array_mut().unwrap().extend(many.clone());
        parse(OtlpEncoding::Json, body.to_string().as_bytes())
    };
    let points_of = |parsed: &ParsedSeries| {
        let series = parsed.items.batch.series();
        series.map(|one| one.points().len()).collect::<Vec<_>>()
    };
    let parsed = parse_points((0..20_000).map(|ms| point(ms, 0)).collect(), "gauge").unwrap();
    assert_eq!(points_of(&parsed), [20_000]);
    // Of another series, earlier, and at the time of the one before.
    let mixed = vec![
        point(0, 0),
        point(1, 0),
        point(1, 0),
        point(2, 1),
        point(0, 1),
    ];
    assert_eq!(
        points_of(&parse_points(mixed, "gauge").unwrap()),
        [2, 1, 1, 1]
    );
    let histogram = vec![point(0, 0), point(1, 0)];
    assert_eq!(
        points_of(&parse_points(histogram, "histogram").unwrap()),
        [2]
    );
    let error =
        parse_points((0..100).map(|number| point(0, number)).collect(), "gauge").unwrap_err();
    assert!(
        error.contains("shorter texts, or raise `api.max_decompressed_bytes`"),
        "{error}"
    );
}

#[test]
fn a_series_that_is_refused_counts_each_of_its_points() {
    let attribute = json!([{"key": "", "value": {"stringValue": "x"}}]);
    let point = |ms: u64| {
        let time = (1_700_000_000_000 + ms) * 1_000_000;
        json!({"timeUnixNano": time.to_string(), "count": 1, "sum": 2, "attributes": attribute})
    };
    let parsed = parse_json(
        json!([{"name": "h", "histogram": {"dataPoints": [point(0), point(1)], "aggregationTemporality": 1}}]),
    );
    assert_eq!(parsed.rejected_points, 2);
    assert_eq!(parsed.items.batch.items(), 0);
}

#[test]
fn attributes_of_every_type_are_labels_and_those_of_the_point_count() {
    let parsed = parse_json(
        json!([{"name": "system.disk.io", "sum": {"aggregationTemporality": 2, "dataPoints": [{
        "timeUnixNano": TIME, "asDouble": 1, "attributes": [
            {"key": "device", "value": {"stringValue": "sda"}},
            {"key": "site", "value": {"stringValue": "own"}},
            {"key": "flag", "value": {"boolValue": true}},
            {"key": "int", "value": {"intValue": "-7"}},
            {"key": "double", "value": {"doubleValue": 1.5}},
            {"key": "bytes", "value": {"bytesValue": "AP8="}},
            {"key": "list", "value": {"arrayValue": {"values": [{"intValue": 1}, {"stringValue": "x"}]}}},
            {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": 1}}]}}},
        ]}]}}]),
    );
    let series = parsed.items.batch.series().next().unwrap();
    let label = |key: &str| series.labels().get(key).unwrap();
    assert_eq!(
        (label("resource_type"), label("resource_id")),
        ("disk", "sda")
    );
    assert_eq!((label("site"), label("flag")), ("own", "true"));
    assert_eq!((label("int"), label("double")), ("-7", "1.5"));
    assert_eq!((label("bytes"), label("list")), ("00ff", "[1,\"x\"]"));
    assert_eq!(label("map"), "{\"k\":1}");
}

#[test]
fn points_without_a_value_are_counted_and_refused_ones_count_once() {
    let parsed = parse_json(json!([
        {"name": "g", "gauge": {"dataPoints": [{"timeUnixNano": TIME, "flags": 1}, {"timeUnixNano": TIME},
            {"timeUnixNano": TIME, "asDouble": "NaN"}]}},
        {"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": [{"timeUnixNano": "99999999999999999", "count": 1, "sum": 1},
            {"timeUnixNano": "18446744073709551615", "count": 1, "sum": 1}]}},
        {"name": "", "gauge": {"dataPoints": [{"timeUnixNano": TIME, "asInt": 1}]}},
    ]));
    assert_eq!(parsed.skipped.get(SkipReason::NoNumber), 2);
    assert_eq!(parsed.skipped.get(SkipReason::NotFinite), 1);
    assert_eq!(parsed.rejected_points, 1);
    assert_eq!(parsed.items.rejected.total(), 1);
    assert_eq!(parsed.items.batch.items(), 4);
}

#[test]
fn a_point_without_a_time_is_of_now_and_no_attribute_renames_it() {
    let attribute = |key: &str| json!({"key": key, "value": {"stringValue": "x"}});
    let points = json!([{"timeUnixNano": "0", "asInt": 1, "attributes": [attribute("__name__"), attribute("__type__")]},
        {"timeUnixNano": TIME, "asInt": 1, "attributes": [attribute("")]}]);
    let parsed = parse_json(json!([{"name": "g", "gauge": {"dataPoints": points}}]));
    assert_eq!(rows(&parsed), ["g storage a7 - gauge - 1"]);
    let error = &parsed.items.rejected.named().next().unwrap().error;
    assert_eq!(error.to_string(), "labels: a label has no name");
}

#[test]
fn without_a_host_and_a_service_a_point_is_refused() {
    let body = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "g", "gauge": {"dataPoints": [{"timeUnixNano": TIME, "asInt": 1}]}}]}]}]});
    let parsed = parse(OtlpEncoding::Json, body.to_string().as_bytes()).unwrap();
    let error = &parsed.items.rejected.named().next().unwrap().error;
    assert!(error.to_string().contains("`storage_id`"), "{error}");
    assert_eq!(parsed.rejected_points, 1);
}

#[test]
fn json_that_is_no_request_is_refused_with_its_field() {
    for (body, wanted) in [
        ("[]", "`[]` is not an object"),
        (
            r#"{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": 3}]}]}]}"#,
            "resourceMetrics: scopeMetrics: metrics: name: `3` is not a text",
        ),
        ("{", "EOF while parsing an object at line 1 column 1"),
        (
            r#"{"resourceSpans": [], "x": 1}"#,
            "it has the field `resourceSpans` (send `resourceMetrics`)",
        ),
        (
            r#"{"resourceMetric": []}"#,
            "it has the field `resourceMetric` (send `resourceMetrics`)",
        ),
        (
            r#"{"resource_metrics": []}"#,
            "`resource_metrics` is not a field (send `resourceMetrics`)",
        ),
        (
            r#"{"resourceMetrics": [{"scope_metrics": []}]}"#,
            "resourceMetrics: `scope_metrics` is not a field (send `scopeMetrics`)",
        ),
    ] {
        let error = parse(OtlpEncoding::Json, body.as_bytes()).unwrap_err();
        let wanted = format!("the body is not a `ExportMetricsServiceRequest`: {wanted}");
        assert_eq!(error, wanted);
    }
    let deep = "[".repeat(100_000);
    let error = parse(OtlpEncoding::Json, deep.as_bytes()).unwrap_err();
    assert!(error.contains("recursion limit"), "{error}");
    assert!(parse(OtlpEncoding::Protobuf, b"<html>").is_err());
    let mut spans = ProtobufWriter::default();
    spans.text(2, "");
    assert_eq!(
        parse(OtlpEncoding::Protobuf, spans.as_bytes()).unwrap_err(),
        "the body is not a `ExportMetricsServiceRequest`: it has field 2 (send `resource_metrics`, field 1, as messages)"
    );
}

#[test]
fn a_request_without_metrics_is_accepted() {
    for body in ["{}", r#"{"resourceMetrics": []}"#] {
        let parsed = parse(OtlpEncoding::Json, body.as_bytes()).unwrap();
        assert_eq!((parsed.items.batch.items(), parsed.rejected_points), (0, 0));
    }
    assert!(parse(OtlpEncoding::Protobuf, b"").is_ok());
}

#[test]
fn a_metric_whose_data_cannot_be_read_is_refused_with_a_reason() {
    let reason = |metric: Value, points: u64| {
        let point = json!({"timeUnixNano": TIME, "asInt": 1});
        let good = json!({"name": "g", "gauge": {"dataPoints": [point]}});
        let parsed = parse_json(json!([metric, good]));
        assert_eq!(parsed.items.batch.items(), 1);
        assert_eq!(parsed.rejected_points, points);
        let rejected = parsed.items.rejected.named().next();
        rejected.map(|one| one.error.to_string())
    };
    for metric in [
        json!({"name": "m"}),
        json!({"name": "m", "gauge": null}),
        json!({"name": "m", "heatmap": {"dataPoints": [{}]}}),
    ] {
        let reason = reason(metric, 1).unwrap();
        assert!(
            reason.starts_with("has no data that the host knows"),
            "{reason}"
        );
    }
    for (kind, temporality) in [
        ("sum", Value::Null),
        ("histogram", json!("AGGREGATION_TEMPORALITY_UNSPECIFIED")),
        ("exponentialHistogram", json!(7)),
    ] {
        let points =
            json!([{"timeUnixNano": TIME, "asInt": 1}, {"timeUnixNano": TIME, "count": 1}]);
        let data = json!({"dataPoints": points, "aggregationTemporality": temporality});
        let reason = reason(json!({"name": "m", kind: data}), 2).unwrap();
        assert!(
            reason.starts_with("`aggregationTemporality` is not"),
            "{reason}"
        );
    }
    for kind in ["gauge", "sum"] {
        assert_eq!(
            reason(json!({"name": "m", kind: {"dataPoints": []}}), 0),
            None
        );
    }
}

#[test]
fn a_time_before_1970_is_refused() {
    for time in [json!("-5"), json!(-5)] {
        let point = json!({"timeUnixNano": time, "asInt": "-5"});
        let body = request(json!([{"name": "g", "gauge": {"dataPoints": [point]}}]));
        let error = parse(OtlpEncoding::Json, body.to_string().as_bytes()).unwrap_err();
        let wanted = format!("timeUnixNano: `{time}` is not an integer, 0 or more");
        assert!(error.ends_with(&wanted), "{error}");
    }
}

#[test]
fn values_that_are_nested_too_deeply_are_refused() {
    let mut value = ProtobufWriter::default();
    for _ in 0..10_000 {
        let mut list = ProtobufWriter::default();
        list.message(1, |item| item.append(&value));
        let mut outer = ProtobufWriter::default();
        outer.message(5, |inner| inner.append(&list));
        value = outer;
    }
    let mut body = ProtobufWriter::default();
    body.message(1, |resource_metrics| {
        resource_metrics.message(1, |resource| {
            resource.message(1, |attribute| {
                attribute.text(1, "deep");
                attribute.message(2, |content| content.append(&value));
            });
        });
        resource_metrics.message(2, |scope| {
            scope.message(2, |metric| {
                metric.text(1, "g");
                metric.message(5, |gauge| {
                    gauge.message(1, |point| {
                        point.fixed64(3, 1_700_000_000_000_000_000);
                        point.double(4, 1.0);
                    });
                });
            });
        });
    });
    let parsed = parse(OtlpEncoding::Protobuf, body.as_bytes()).unwrap();
    let error = &parsed.items.rejected.named().next().unwrap().error;
    assert!(error.to_string().contains("nested too deeply"), "{error}");
}

#[test]
fn json_costs_no_more_memory_than_there_is() {
    let limits = BodyLimits::default();
    let guard = ParseGuard::start(&limits, MemoryClaim::of_at_most(16 << 20));
    let body = format!("[{}0]", "0,".repeat(1 << 19));
    let error = parse_within(OtlpEncoding::Json, body.as_bytes(), guard).unwrap_err();
    assert!(
        error.contains("more than 16777216 bytes of memory"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn no_body_crashes_the_decoders(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let point = json!({"timeUnixNano": TIME, "asDouble": 1, "attributes": [
            {"key": "list", "value": {"arrayValue": {"values": [{"intValue": 1}]}}}]});
        let text = request(json!([{"name": "g", "gauge": {"dataPoints": [point]}}])).to_string();
        let limits = BodyLimits::default();
        let mappings = SeriesMappings::default();
        let mut writer = SeriesWriter::new(&mappings, &limits, NOW, ParseGuard::unlimited(&limits));
        let message = json::to_protobuf(text.as_bytes(), &mut writer).unwrap();
        for (encoding, valid) in [
            (OtlpEncoding::Json, text.as_bytes()),
            (OtlpEncoding::Protobuf, message.as_bytes()),
        ] {
            let _ = parse(encoding, &bytes);
            let mut changed = valid.to_vec();
            let at = at.index(changed.len());
            changed[at] = byte;
            let _ = parse(encoding, &changed);
            let _ = parse(encoding, &valid[..at]);
        }
    }
}
