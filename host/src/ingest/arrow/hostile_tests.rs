//! Streams that are small, and expensive for a reader that trusts them.

use std::{borrow::Cow, sync::Arc, time::Duration};

use arrow_array::{
    Array, ArrayRef, DictionaryArray, Int32Array, Int64Array, MapArray, RecordBatch, StringArray,
    StructArray, cast::AsArray,
};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_ipc::{
    FieldBuilder, MessageBuilder, MessageHeader, MetadataVersion, SchemaBuilder, Struct_Builder,
    Type, reader::StreamDecoder, root_as_message, writer::StreamWriter,
};
use arrow_schema::{DataType, Field};
use delfin_plugin_api::{Batch, PerformanceBatchBuilder};
use flatbuffers::FlatBufferBuilder;

use super::*;

fn performance(
    bytes: Cow<'_, [u8]>,
    limits: &BodyLimits,
) -> Result<(PerformanceBatch, RejectedItems), IngestError> {
    let items = super::performance(bytes, limits, 0, ParseGuard::unlimited(limits))?;
    Ok((items.batch, items.rejected))
}

const NOW: i64 = 1_700_000_000_000;

fn stream(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn error_of(bytes: &[u8], limits: &BodyLimits) -> String {
    let parsed = performance(Cow::Borrowed(bytes), limits);
    parsed.unwrap_err().to_string()
}

fn series(rows: usize, labels: &[(&str, &str)]) -> RecordBatch {
    let mut batch = PerformanceBatchBuilder::new();
    for _ in 0..rows {
        let labels = labels.iter().copied();
        batch.series("load", labels, [(1, 1.0)]).unwrap();
    }
    batch.build().as_arrow().clone()
}

/// Labels that are one text of a dictionary in every row.
fn shared_labels(rows: usize, name: &str, value: &str) -> ArrayRef {
    let texts = |text: &str| {
        let codes = Int32Array::from(vec![0; rows]);
        let texts = Arc::new(StringArray::from(vec![text]));
        Arc::new(DictionaryArray::new(codes, texts)) as ArrayRef
    };
    let (names, values) = (texts(name), texts(value));
    let field = |name, array: &ArrayRef| Field::new(name, array.data_type().clone(), false);
    let fields = vec![field("keys", &names), field("values", &values)];
    let entries = StructArray::new(fields.into(), vec![names, values], None);
    let entry = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    let offsets = OffsetBuffer::from_lengths(vec![1; rows]);
    Arc::new(MapArray::new(entry, offsets, entries, None, false))
}

fn limits(max_decompressed_bytes: u64) -> BodyLimits {
    BodyLimits {
        max_decompressed_bytes,
        ..BodyLimits::default()
    }
}

#[test]
fn texts_that_rows_share_count_in_each_row() {
    let value = "x".repeat(10_000);
    let bytes = stream(&series(1000, &[("unit", &value)]));
    assert!(bytes.len() < 100_000, "{}", bytes.len());
    let wanted = "the rows of the body have more than 1000000 bytes: texts that rows share, such as labels, count for each row (send fewer rows or shorter texts, or raise `api.max_decompressed_bytes`)";
    assert_eq!(error_of(&bytes, &limits(1_000_000)), wanted);
    performance(Cow::Borrowed(&bytes), &limits(11_000_000)).unwrap();

    let ids: StringArray = (0..1000).map(|id| Some(id.to_string())).collect();
    let columns = [
        ("alert_id", Arc::new(ids) as ArrayRef),
        ("extra", shared_labels(1000, "unit", &value)),
    ];
    let bytes = stream(&RecordBatch::try_from_iter(columns).unwrap());
    let parsed = alerts(
        Cow::Borrowed(&bytes),
        &limits(1_000_000),
        NOW,
        ParseGuard::unlimited(&limits(1_000_000)),
    );
    assert_eq!(parsed.unwrap_err().to_string(), wanted);
}

#[test]
fn columns_that_are_the_same_bytes_are_refused() {
    let column = || Arc::new(Int64Array::from_iter_values(0..8)) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("a", column()), ("b", column())]).unwrap();
    let mut bytes = stream(&batch);
    let position = last_buffer(&bytes);
    let whole_body = [0_i64, 128].map(i64::to_le_bytes);
    bytes[position..position + 16].copy_from_slice(whole_body.as_flattened());
    assert_eq!(
        error_of(&bytes, &BodyLimits::default()),
        "the body is not a valid Arrow stream: its buffers overlap"
    );
}

/// The position of the last buffer's offset and length in the second message of a stream.
fn last_buffer(bytes: &[u8]) -> usize {
    let size = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let start = 8 + size(4);
    let message = root_as_message(&bytes[start + 8..]).unwrap();
    let batch = message.header_as_record_batch().unwrap();
    let buffers = batch.buffers().unwrap();
    let buffer = buffers.get(buffers.len() - 1);
    std::ptr::from_ref(buffer).addr() - bytes.as_ptr().addr()
}

/// A stream whose schema has a column that contains `width` times the same column, and so
/// on, `depth` times.
fn nested_schema(width: usize, depth: usize) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let name = builder.create_string("a");
    let kind = Struct_Builder::new(&mut builder).finish();
    let mut children = Vec::new();
    for _ in 0..=depth {
        let inner = builder.create_vector(&children);
        let mut field = FieldBuilder::new(&mut builder);
        field.add_name(name);
        field.add_type_type(Type::Struct_);
        field.add_type_(kind.as_union_value());
        field.add_children(inner);
        children = vec![field.finish(); width];
    }
    let fields = builder.create_vector(&children[..1]);
    let mut schema = SchemaBuilder::new(&mut builder);
    schema.add_fields(fields);
    let schema = schema.finish();
    let mut message = MessageBuilder::new(&mut builder);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(MessageHeader::Schema);
    message.add_header(schema.as_union_value());
    let message = message.finish();
    builder.finish(message, None);
    let message = builder.finished_data();
    let mut bytes = vec![0xff; 4];
    bytes.extend((message.len() as u32).to_le_bytes());
    bytes.extend(message);
    bytes.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    bytes
}

#[test]
fn a_schema_that_is_larger_than_its_message_is_refused() {
    let bytes = nested_schema(100, 2);
    assert!(bytes.len() < 2000, "{}", bytes.len());
    let mut decoder = StreamDecoder::new();
    let decoded = decoder.decode(&mut Buffer::from(&bytes[..]));
    assert!(decoded.is_ok(), "the Arrow reader alone accepts it");
    let error = error_of(&bytes, &BodyLimits::default());
    assert!(
        error.starts_with("the body is not a valid Arrow stream: "),
        "{error}"
    );
    performance(Cow::Owned(nested_schema(10, 2)), &BodyLimits::default()).unwrap();
}

#[test]
fn a_label_that_comes_twice_among_many_is_found() {
    let names: Vec<_> = (0..256).map(|n| format!("label{n}")).collect();
    let labels: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    performance(
        Cow::Owned(stream(&series(2, &labels))),
        &BodyLimits::default(),
    )
    .unwrap();
    let mut twice = labels.clone();
    twice[255] = twice[100];
    let error = error_of_strict(&stream(&series(1, &twice)));
    assert_eq!(error, "item 0: labels: label `label100` comes twice");
}

fn error_of_strict(bytes: &[u8]) -> String {
    let (batch, rejected) = performance(Cow::Borrowed(bytes), &BodyLimits::default()).unwrap();
    rejected.require_empty(batch).unwrap_err().to_string()
}

#[test]
fn a_body_that_takes_too_long_is_refused() {
    let limits = BodyLimits {
        max_parse_time: Duration::ZERO,
        ..BodyLimits::default()
    };
    let wanted = "the body takes longer than 0ns to read (send smaller batches)";
    assert_eq!(error_of(&stream(&series(1, &[])), &limits), wanted);
}

#[test]
fn columns_that_are_not_kept_use_no_memory() {
    let batch = series(2, &[("unit", "%")]);
    let comment = "x".repeat(1 << 20);
    let columns = [(
        "comment",
        Arc::new(StringArray::from(vec![comment; 2])) as ArrayRef,
    )];
    let names = ["name", "labels", "timestamps", "values"];
    let columns = columns
        .into_iter()
        .chain(names.into_iter().zip(batch.columns().to_vec()));
    let bytes = stream(&RecordBatch::try_from_iter(columns).unwrap());
    let (parsed, _) = performance(Cow::Owned(bytes), &BodyLimits::default()).unwrap();
    assert_eq!(parsed.as_arrow(), &batch);
    let times = parsed.as_arrow().column(2).as_list::<i32>().to_data();
    let capacity = times.child_data()[0].buffers()[0].capacity();
    assert!(capacity < 1 << 10, "{capacity}");
    assert_eq!(
        times.data_type(),
        &DataType::List(Arc::new(Field::new("item", DataType::Int64, false)))
    );
}
