//! The cost of ingest: Delfin's JSON and Arrow to columns, and columns to and from the bytes in the
//! journal. The batch is as large as one collection of Delfin's fake driver: 474,435 points in 31,629
//! series. Requests of clients are far smaller: 10 or 100 series of one point, 100 series of 15 points,
//! or 100 alerts.

#![expect(
    clippy::expect_used,
    reason = "a bench that cannot be set up should say why and stop"
)]

use std::sync::LazyLock;

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use delfin_host::{
    batch::{AnyBatch, codec},
    ingest::{self, BodyEncoding, BodyFormat, BodyLimits, RequestBody},
};
use delfin_plugin_api::{Batch, Kind, PerformanceBatch, sample, time::now_ms};
use delfin_tests::as_json;
use divan::{
    Bencher, black_box,
    counter::{BytesCount, ItemsCount},
};

const POINTS: u64 = 474_435;

static BATCH: LazyLock<PerformanceBatch> = LazyLock::new(|| sample::performance(31_629, 15));
static JSON: LazyLock<String> = LazyLock::new(|| as_json(&*BATCH));

fn main() {
    assert_eq!(BATCH.items(), POINTS);
    divan::main();
}

fn parse(bytes: &[u8], format: BodyFormat) -> AnyBatch {
    parse_kind(Kind::Performance, bytes, format)
}

fn parse_kind(kind: Kind, bytes: &[u8], format: BodyFormat) -> AnyBatch {
    let payload = RequestBody {
        format,
        encoding: BodyEncoding::Identity,
        bytes: bytes.into(),
    };
    ingest::parse_strict(kind, payload, &BodyLimits::default(), now_ms())
        .expect("the batch is good")
}

fn arrow_stream(batch: &RecordBatch) -> Vec<u8> {
    let writer = StreamWriter::try_new(Vec::new(), &batch.schema()).and_then(|mut writer| {
        writer.write(batch)?;
        writer.into_inner()
    });
    writer.expect("the batch can be written")
}

#[divan::bench]
fn json_to_batch(bencher: Bencher<'_, '_>) {
    let json = JSON.as_bytes();
    bencher
        .counter(ItemsCount::new(POINTS))
        .counter(BytesCount::of_slice(json))
        .bench(|| parse(black_box(json), BodyFormat::Json));
}

/// Bodies of series, by their number and the points of each.
#[divan::bench(args = [(10, 1), (100, 1), (100, 15)])]
fn json_request_to_batch(bencher: Bencher<'_, '_>, (series, points): (usize, usize)) {
    let json = as_json(&sample::performance(series, points));
    bencher
        .counter(ItemsCount::new(series * points))
        .counter(BytesCount::of_slice(json.as_bytes()))
        .bench(|| parse(black_box(json.as_bytes()), BodyFormat::Json));
}

#[divan::bench(args = [100])]
fn json_alerts_to_batch(bencher: Bencher<'_, '_>, alerts: usize) {
    let json = as_json(&sample::alerts(alerts));
    bencher
        .counter(ItemsCount::new(alerts))
        .counter(BytesCount::of_slice(json.as_bytes()))
        .bench(|| parse_kind(Kind::Alert, black_box(json.as_bytes()), BodyFormat::Json));
}

/// For comparison: the same bytes to a tree of values, without any check.
#[divan::bench]
fn json_to_serde_value(bencher: Bencher<'_, '_>) {
    let json = JSON.as_bytes();
    bencher
        .counter(ItemsCount::new(POINTS))
        .counter(BytesCount::of_slice(json))
        .bench(|| serde_json::from_slice::<serde_json::Value>(black_box(json)));
}

#[divan::bench]
fn arrow_to_batch(bencher: Bencher<'_, '_>) {
    let stream = arrow_stream(BATCH.as_arrow());
    bencher
        .counter(ItemsCount::new(POINTS))
        .counter(BytesCount::of_slice(&stream))
        .bench_local(|| parse(black_box(&stream), BodyFormat::ArrowStream));
}

#[divan::bench]
fn codec_encode(bencher: Bencher<'_, '_>) {
    let batch = BATCH.as_arrow();
    bencher
        .counter(ItemsCount::new(POINTS))
        .bench(|| codec::encode(black_box(batch)));
}

#[divan::bench]
fn codec_decode(bencher: Bencher<'_, '_>) {
    let bytes = codec::encode(BATCH.as_arrow()).expect("the batch can be encoded");
    bencher
        .counter(ItemsCount::new(POINTS))
        .counter(BytesCount::of_slice(&bytes))
        .bench_local(|| codec::decode(black_box(&bytes)));
}
