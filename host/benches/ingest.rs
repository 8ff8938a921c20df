//! What it costs to take a batch in: Delfin's JSON and Arrow to columns, and the
//! columns to and from the journal's bytes. One storage at its largest, 474,435
//! points in 31,629 series.

#![expect(
    clippy::expect_used,
    reason = "a bench that cannot be set up should say why and stop"
)]

mod support;

use std::sync::LazyLock;

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use delfin_host::{
    batch::{AnyBatch, codec},
    ingest::{self, Encoding, Format, Limits, Payload},
};
use delfin_plugin_api::{Batch, Kind, PerformanceBatch};
use divan::{
    Bencher, black_box,
    counter::{BytesCount, ItemsCount},
};

const POINTS: u64 = 474_435;

static BATCH: LazyLock<PerformanceBatch> = LazyLock::new(|| support::delfin_batch(15, 1));
static JSON: LazyLock<String> = LazyLock::new(|| support::as_json(&BATCH));

fn main() {
    assert_eq!(BATCH.items(), POINTS);
    divan::main();
}

fn parse(bytes: &[u8], format: Format) -> AnyBatch {
    let payload = Payload {
        format,
        encoding: Encoding::Identity,
        bytes,
    };
    ingest::parse(Kind::Performance, payload, &Limits::default(), 0).expect("the batch is good")
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
        .bench(|| parse(black_box(json), Format::Json));
}

/// The yardstick: the same bytes into a tree of values, nothing checked.
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
        .bench_local(|| parse(black_box(&stream), Format::ArrowStream));
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
