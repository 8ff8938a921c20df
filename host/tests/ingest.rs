//! Bodies in the formats of other programs, and bodies of every shape, become the
//! batch that they describe.

#![expect(
    clippy::unwrap_used,
    reason = "a failure to set up a test fails the test"
)]

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use delfin_host::{
    batch::{AnyBatch, codec},
    ingest::{self, BodyEncoding, BodyFormat, BodyLimits, ParseGuard, RequestBody},
};
use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, Batch, Kind, NewAlert, PerformanceBatch,
    PerformanceBatchBuilder, TEXT_COLUMNS, sample,
};
use delfin_tests::as_json;
use proptest::{collection, prelude::*};

const DELFIN: &[u8] = include_bytes!("fixtures/batch_small.json");
const DELFIN_KAFKA: &[u8] = include_bytes!("fixtures/batch_small.kafka.json");
const ALERTS: &[u8] = include_bytes!("fixtures/alerts.json");

fn parse(kind: Kind, format: BodyFormat, bytes: &[u8]) -> AnyBatch {
    let payload = RequestBody {
        format,
        encoding: BodyEncoding::Identity,
        bytes: bytes.into(),
    };
    ingest::parse_strict(kind, payload, &BodyLimits::default(), 0).unwrap()
}

fn performance(format: BodyFormat, bytes: &[u8]) -> PerformanceBatch {
    match parse(Kind::Performance, format, bytes) {
        AnyBatch::Performance(batch) => batch,
        AnyBatch::Alerts(batch) => panic!("not a performance batch: {batch:?}"),
    }
}

fn arrow_stream(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn objects_and_triples_of_delfin_become_the_same_batch() {
    let objects = performance(BodyFormat::Json, DELFIN);
    let triples = performance(BodyFormat::Json, DELFIN_KAFKA);
    assert_eq!(objects.as_arrow(), triples.as_arrow());

    let all: Vec<serde_json::Value> = serde_json::from_slice(DELFIN).unwrap();
    assert_eq!(objects.rows(), all.len());
    for (series, item) in objects.series().zip(&all) {
        assert_eq!(series.name(), item["name"]);
        let labels = item["labels"].as_object().unwrap();
        assert_eq!(series.labels().len(), labels.len());
        for (key, value) in labels {
            assert_eq!(series.labels().get(key), value.as_str());
        }
        assert_eq!(
            series.points().len(),
            item["values"].as_object().unwrap().len()
        );
    }
    let first = objects.series().next().unwrap();
    assert_eq!(
        first.points().next(),
        Some((1_795_345_100_000, 29.534_088_718_585_423))
    );
}

#[test]
fn the_alerts_of_delfin_become_a_batch() {
    let batch = parse(Kind::Alert, BodyFormat::Json, ALERTS);
    assert_eq!(
        (batch.kind(), batch.items(), batch.row_count()),
        (Kind::Alert, 4, 4)
    );
    let AnyBatch::Alerts(batch) = batch else {
        panic!("not an alert batch: {batch:?}");
    };
    let sequence: Vec<_> = batch
        .alerts()
        .filter_map(|alert| alert.sequence_number())
        .collect();
    assert_eq!(sequence, ["100", "101", "102", "103"]);
    let descriptions: Vec<_> = batch
        .alerts()
        .filter_map(|alert| alert.description())
        .collect();
    assert!(descriptions[2].ends_with(' '));
}

#[test]
fn a_batch_of_the_size_of_delfin_is_accepted_as_a_whole() {
    let batch = sample::performance(31_629, 1);
    assert_eq!((batch.rows(), batch.items()), (31_629, 31_629));
    let json = as_json(&batch);
    assert_eq!(
        performance(BodyFormat::Json, json.as_bytes()).as_arrow(),
        batch.as_arrow()
    );
}

#[test]
fn lines_and_an_array_become_the_same_batch() {
    let lines: Vec<_> = DELFIN.split(|&byte| byte == b'\n').collect();
    let items: Vec<_> = lines[1..lines.len() - 2]
        .iter()
        .map(|line| line.strip_suffix(b",").unwrap_or(line))
        .collect();
    let lines = performance(BodyFormat::Json, &items.join(&b'\n'));
    assert_eq!(
        lines.as_arrow(),
        performance(BodyFormat::Json, DELFIN).as_arrow()
    );
}

prop_compose! {
    fn series()(
        name in "[ -~é\\n\"]{1,12}",
        labels in collection::btree_map("[a-cü\\\\]{1,2}", ".{0,6}", 0..5),
        points in collection::btree_map(5_000_000_000..253_402_300_799_999_i64, finite(), 0..6),
    ) -> (String, Vec<(String, String)>, Vec<(i64, f64)>) {
        (name, labels.into_iter().collect(), points.into_iter().collect())
    }
}

fn finite() -> impl Strategy<Value = f64> {
    proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO
}

prop_compose! {
    fn batch()(all in collection::vec(series(), 0..12)) -> PerformanceBatch {
        let mut batch = PerformanceBatchBuilder::new();
        for (name, labels, points) in &all {
            let labels = labels.iter().map(|(key, value)| (key, value));
            batch.series(name, labels, points.iter().copied()).unwrap();
        }
        batch.build()
    }
}

prop_compose! {
    fn alert_batch()(
        all in collection::vec(
            (5_000_000_000..253_402_300_799_999_i64, 0..TEXT_COLUMNS.len(), ".{0,6}", ".{1,6}"),
            0..12,
        ),
    ) -> AlertBatch {
        let mut batch = AlertBatchBuilder::new();
        for (occur_time, column, text, extra) in &all {
            let texts = [(TEXT_COLUMNS[*column], text.as_str()), ("rack", extra), ("alert_id", "7")];
            batch.alert(NewAlert { occur_time: *occur_time, texts: &texts });
        }
        batch.build()
    }
}

fn alerts_as_lines(batch: &AlertBatch) -> String {
    let lines = batch.alerts().map(|alert| {
        let mut line = serde_json::Map::new();
        let texts = alert
            .texts()
            .chain(alert.extra().iter().map(|(_, value)| ("rack", value)));
        line.extend(texts.map(|(key, text)| (key.to_owned(), text.into())));
        line.insert("occur_time".to_owned(), alert.occur_time().into());
        serde_json::Value::from(line).to_string()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Items that are valid JSON but not a series, each with its position among the others.
fn invalid_items() -> impl Strategy<Value = Vec<(usize, &'static str)>> {
    let invalid = prop_oneof![
        Just("7"),
        Just(r#"{"name": "x", "labels": {"p": "q"}, "values": {"1": 1, "2": []}}"#),
        Just(r#"["x", {"p": "q", "r": [1]}, {"1": 1}]"#),
        Just(r#"["x", {"p": "q"}, {"1": 1, "1": 2}]"#),
        Just(r#"{"labels": {"p": "q"}, "values": {"1": 1}}"#),
    ];
    collection::vec((0..12_usize, invalid), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(delfin_tests::soak(256)))]

    #[test]
    fn invalid_items_do_not_affect_valid_items(batch in batch(), invalid in invalid_items()) {
        let json = as_json(&batch);
        let all: Vec<&serde_json::value::RawValue> = serde_json::from_str(&json).unwrap();
        let mut items: Vec<&str> = all.iter().map(|item| item.get()).collect();
        for (place, item) in &invalid {
            items.insert((*place).min(items.len()), item);
        }
        let array = format!("[{}]", items.join(","));
        let mut bodies = vec![(array, 0)];
        if !items.is_empty() {
            bodies.push((items.join("\n"), 0));
            bodies.push((format!("{{\"name\":\n{}\n[\"cut", items.join("\n")), 2));
        }
        for (body, broken) in bodies {
            let payload = RequestBody {
                format: BodyFormat::Json,
                encoding: BodyEncoding::Identity,
                bytes: body.as_bytes().into(),
            };
            let limits = BodyLimits::default();
            let guard = ParseGuard::unlimited(&limits);
            let parsed = ingest::parse(Kind::Performance, payload, &limits, 0, guard).unwrap();
            prop_assert_eq!(parsed.batch.as_arrow(), batch.as_arrow());
            prop_assert_eq!(parsed.rejected.total(), invalid.len() as u64 + broken);
        }
    }

    #[test]
    fn a_batch_survives_json(batch in batch()) {
        let json = as_json(&batch);
        let parsed = performance(BodyFormat::Json, json.as_bytes());
        prop_assert_eq!(parsed.as_arrow(), batch.as_arrow());
    }

    #[test]
    fn a_batch_survives_an_arrow_stream(batch in batch()) {
        let parsed = performance(BodyFormat::ArrowStream, &arrow_stream(batch.as_arrow()));
        prop_assert_eq!(parsed.as_arrow(), batch.as_arrow());
    }

    #[test]
    fn alerts_survive_json_and_an_arrow_stream(batch in alert_batch()) {
        let stream = arrow_stream(batch.as_arrow());
        let parsed = parse(Kind::Alert, BodyFormat::ArrowStream, &stream);
        prop_assert_eq!(parsed.as_arrow(), batch.as_arrow());
        if batch.rows() > 0 {
            let parsed = parse(Kind::Alert, BodyFormat::Json, alerts_as_lines(&batch).as_bytes());
            prop_assert_eq!(parsed.as_arrow(), batch.as_arrow());
        }
    }

    #[test]
    fn a_batch_survives_the_journal_whole_and_in_slices(batch in batch(), start in 0..12_usize) {
        let start = start.min(batch.rows());
        for part in [batch.as_arrow().clone(), batch.as_arrow().slice(start, batch.rows() - start)] {
            let decoded = codec::decode(&codec::encode(&part).unwrap()).unwrap();
            prop_assert_eq!(decoded, part);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[\\[\\]{}\",:0-9a-z\\\\ \\n]{0,60}") {
        for kind in [Kind::Performance, Kind::Alert] {
            for format in [BodyFormat::Json, BodyFormat::ArrowStream] {
                let payload = RequestBody { format, encoding: BodyEncoding::Identity, bytes: text.as_bytes().into() };
                let _ = ingest::parse_strict(kind, payload, &BodyLimits::default(), 0);
            }
        }
    }
}
