use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::DataType;
use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, Batch, NewAlert, PerformanceBatch, PerformanceBatchBuilder,
};

use super::*;

fn series(rows: usize) -> RecordBatch {
    let mut batch = PerformanceBatchBuilder::new();
    for row in 0..rows {
        let id = format!("volume_{row}");
        let labels = [("resource_id", id.as_str()), ("unit", "IOPS")];
        let points = (0..3).map(|n| (n, row as f64 + 0.1 * n as f64));
        batch.series("iops", labels, points).unwrap();
    }
    batch.build().as_arrow().clone()
}

fn stream_of(batch: &RecordBatch) -> Vec<u8> {
    let mut stream = Vec::new();
    write_stream(batch, &mut stream).unwrap();
    stream
}

fn check(batch: &RecordBatch) -> RecordBatch {
    let decoded = decode(&encode(batch).unwrap()).unwrap();
    assert_eq!(&decoded, batch);
    decoded
}

#[test]
fn a_batch_is_decoded_with_its_schema_and_its_dictionaries() {
    let decoded = check(&series(5));
    let DataType::Map(entries, _) = decoded.column(1).data_type() else {
        panic!("labels are a map");
    };
    assert!(entries.data_type().to_string().contains("Dictionary"));
    assert_eq!(
        PerformanceBatch::try_from_arrow(decoded).unwrap().items(),
        15
    );
}

#[test]
fn alerts_with_absent_columns_are_decoded_unchanged() {
    let mut batch = AlertBatchBuilder::new();
    for texts in [
        &[("alert_id", "1"), ("rack", "7")][..],
        &[("alert_name", "é")],
    ] {
        batch.alert(NewAlert {
            occur_time: 5,
            texts,
        });
    }
    let decoded = check(batch.build().as_arrow());
    assert_eq!(AlertBatch::try_from_arrow(decoded).unwrap().rows(), 2);
}

#[test]
fn a_small_stream_is_the_one_that_arrow_writes() {
    let alert = NewAlert {
        occur_time: 5,
        texts: &[("alert_id", "1"), ("rack", "7")],
    };
    let mut alerts = AlertBatchBuilder::new();
    alerts.alert(alert);
    let alerts = alerts.build().as_arrow().clone();
    let large = series(200);
    assert!((MAX_IN_GROUP..MAX_WITH_DICTIONARY).contains(&used_bytes(&large)));
    for batch in [
        series(3),
        alerts,
        large,
        series(0),
        series(9).slice(4, 2),
        series(3),
    ] {
        let mut wanted = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        wanted.write(&batch).unwrap();
        assert_eq!(stream_of(&batch), wanted.into_inner().unwrap());
    }
}

#[test]
fn an_empty_batch_is_decoded_as_an_empty_batch() {
    check(&series(0));
    check(AlertBatchBuilder::new().build().as_arrow());
}

#[test]
fn a_slice_is_decoded_as_that_slice() {
    for (start, rows) in [(0, 2), (3, 4), (9, 1), (5, 0)] {
        check(&series(10).slice(start, rows));
    }
}

#[test]
fn a_slice_is_encoded_without_the_other_rows() {
    let whole = series(1000);
    let slice = encode(&whole.slice(500, 1)).unwrap().len();
    assert!(slice < encode(&whole).unwrap().len() / 2, "{slice}");
}

#[test]
fn a_damaged_byte_is_an_error_or_changes_nothing() {
    let batch = series(20);
    let bytes = encode(&batch).unwrap();
    for at in 0..bytes.len() {
        for bit in [0x01, 0x10, 0x80] {
            let mut damaged = bytes.clone();
            damaged[at] ^= bit;
            // Some bits of the frame header have no meaning. With such a bit changed, the
            // decoded batch must be the encoded one.
            if let Ok(decoded) = decode(&damaged) {
                assert_eq!(decoded, batch, "byte {at}");
            }
        }
    }
}

fn group_of(batches: &[RecordBatch]) -> RowGroup {
    let mut group = RowGroup::default();
    for batch in batches {
        let small = SmallBatch::new(batch).unwrap();
        assert!(!group.is_full_for(&small));
        group.push(&small);
    }
    group
}

/// The payloads that are stored in a frame.
fn payloads(stored: &[u8]) -> Vec<RecordPayload> {
    let mut payloads = split(stored).unwrap().unwrap();
    let all = (0..payloads.len()).map(|index| payloads.take(index).unwrap());
    let all = all.collect();
    assert_eq!(payloads.take(payloads.len()), None);
    all
}

fn decoded(stored: &[u8]) -> Vec<RecordBatch> {
    let payloads = payloads(stored);
    let batches = payloads.iter().map(|payload| payload.decode().unwrap());
    batches.collect()
}

#[test]
fn batches_that_are_stored_together_are_decoded_one_by_one() {
    let mut batches: Vec<_> = (0..20).map(series).collect();
    batches.extend([series(9).slice(4, 2), series(0)]);
    let stored = group_of(&batches).encode().unwrap();
    assert_eq!(decoded(&stored), batches);
    let alone: Vec<_> = batches.iter().map(|batch| encode(batch).unwrap()).collect();
    assert!(alone.iter().all(|stored| split(stored).unwrap().is_none()));
    let alone: usize = alone.iter().map(Vec::len).sum();
    assert!(2 * stored.len() < alone, "{} of {alone}", stored.len());
    assert!(matches!(decode(&stored), Err(CodecError::Group)));
    for at in 0..stored.len() {
        let mut damaged = stored.clone();
        damaged[at] ^= 0x10;
        if let Ok(Some(_)) = split(&damaged) {
            assert_eq!(decoded(&damaged), batches, "byte {at}");
        }
        assert!(!matches!(split(&stored[..at]), Ok(Some(_))), "{at} bytes");
    }
}

#[test]
fn batches_that_are_stored_together_share_their_memory() {
    let batches = [series(3), series(1), series(0), series(96)];
    let records = payloads(&group_of(&batches).encode().unwrap());
    let parts: Vec<_> = records
        .iter()
        .map(|record| match record {
            RecordPayload::Rows(batch) => batch.part.as_ref().unwrap(),
            RecordPayload::Encoded(_) => panic!("it is not encoded"),
        })
        .collect();
    let all = &parts[0].all;
    assert!(parts.iter().all(|part| Arc::ptr_eq(&part.all, all)));
    let first_rows: Vec<_> = parts.iter().map(|part| part.first_row).collect();
    assert_eq!(first_rows, [0, 3, 4, 4]);
    assert!(Arc::ptr_eq(all.schema_ref(), batches[0].schema_ref()));
    let held: u64 = records.iter().map(RecordPayload::bytes).sum();
    let least = parts[0].held.all();
    assert!((least..least + (16 << 10)).contains(&held), "{held}");
}

#[test]
fn alerts_are_stored_together_and_other_columns_are_not() {
    let alerts = |count: usize| {
        let mut batch = AlertBatchBuilder::new();
        for number in 0..count {
            let texts = [("alert_id", "1"), ("rack", "7")];
            batch.alert(NewAlert {
                occur_time: number as i64,
                texts: &texts[number % 2..],
            });
        }
        batch.build().as_arrow().clone()
    };
    let batches = [alerts(2), alerts(0), alerts(5)];
    let group = group_of(&batches);
    assert!(group.is_full_for(&SmallBatch::new(&series(1)).unwrap()));
    assert_eq!(decoded(&group.encode().unwrap()), batches);
}

#[test]
fn a_group_has_a_limit_and_one_batch_is_stored_by_itself() {
    let batch = SmallBatch::new(&series(50)).unwrap();
    let mut group = RowGroup::default();
    while !group.is_full_for(&batch) {
        group.push(&batch);
    }
    assert!(group.bytes() <= MAX_WITH_DICTIONARY as u64);
    assert!(group.bytes() + batch.bytes > MAX_WITH_DICTIONARY as u64);
    let alone = RowGroup::of(&batch).encode().unwrap();
    assert_eq!(alone, encode(&batch.rows).unwrap());
    assert!(SmallBatch::new(&series(2000)).is_none());
}

#[test]
fn sizes_of_a_group_that_are_wrong_are_an_error() {
    let stream = stream_of(&series(2));
    let rows = |counts: &[u32]| {
        let counts = counts.iter().flat_map(|count| count.to_le_bytes());
        let content: Vec<_> = stream.iter().copied().chain(counts).collect();
        (ROW_GROUP_FRAME, content)
    };
    let compress = |format, content: &[u8]| {
        let mut encoder = BatchEncoder::take().unwrap();
        encoder.compress(format, content).unwrap()
    };
    let (format, right) = rows(&[1, 1, 2]);
    assert_eq!(decoded(&compress(format, &right)).len(), 2);
    for (format, content) in [
        (STREAM_GROUP_FRAME, vec![]),
        (STREAM_GROUP_FRAME, vec![9, 0, 0, 0]),
        (STREAM_GROUP_FRAME, vec![1, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3]),
        (STREAM_GROUP_FRAME, vec![0, 0, 0, 0, 1]),
        (ROW_GROUP_FRAME, vec![]),
        (ROW_GROUP_FRAME, vec![9, 0, 0, 0]),
        rows(&[1, 2, 2]),
        rows(&[1, 1]),
        rows(&[0]),
        rows(&[u32::MAX]),
    ] {
        let stored = compress(format, &content);
        assert!(
            matches!(split(&stored), Err(CodecError::Group)),
            "{format}, {content:?}"
        );
        assert!(matches!(decode(&stored), Err(CodecError::Group)));
    }
}

#[test]
fn a_frame_that_is_longer_than_any_group_is_not_read() {
    for format in [STREAM_GROUP_FRAME, ROW_GROUP_FRAME] {
        let mut content = vec![0; 8 << 20];
        content[..4].copy_from_slice(&1_000_000_u32.to_le_bytes());
        let mut encoder = BatchEncoder::take().unwrap();
        let stored = encoder.compress(format, &content).unwrap();
        assert!(stored.len() < 8 << 10, "{}", stored.len());
        assert!(matches!(split(&stored), Err(CodecError::Decompress(_))));
    }
}

#[test]
fn a_cut_off_batch_is_an_error_at_every_length() {
    let bytes = encode(&series(20)).unwrap();
    for len in 0..bytes.len() {
        decode(&bytes[..len]).unwrap_err();
    }
}

#[test]
fn the_error_for_an_unknown_format_names_the_known_ones() {
    let mut bytes = encode(&series(1)).unwrap();
    bytes[0] = 9;
    let wanted = "the stored batch has format 9, this host reads 1 to 5 (use a newer host)";
    assert_eq!(decode(&bytes).unwrap_err().to_string(), wanted);
    assert_eq!(
        decode(&[]).unwrap_err().to_string(),
        "the stored batch is empty"
    );
}

#[test]
fn stored_payloads_of_every_format_are_decoded() {
    let [plain, with_dictionary] = [
        include_bytes!("tests/format-1.bin").as_slice(),
        include_bytes!("tests/format-2.bin").as_slice(),
    ];
    let batch = decode(plain).unwrap();
    assert_eq!(decode(with_dictionary).unwrap(), batch);
    for group in [
        include_bytes!("tests/format-4.bin").as_slice(),
        include_bytes!("tests/format-5.bin").as_slice(),
    ] {
        assert_eq!(decoded(group), [batch.clone(), batch.clone()]);
    }
    let rows = PerformanceBatch::try_from_arrow(batch).unwrap();
    assert_eq!((rows.rows(), rows.items()), (1, 1));
}

#[test]
fn the_dictionary_of_stored_payloads_does_not_change() {
    use sha2::{Digest, Sha256};
    let expected = "2982f155d1ac06143a202e0112c80263d1bc02f0f798102252ce502d50186541";
    let digest = Sha256::digest(DICTIONARY);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected);
}

#[test]
fn a_small_batch_does_not_repeat_its_schema_and_a_large_one_has_no_use_for_the_dictionary() {
    let small = series(1);
    let encoded = encode(&small).unwrap();
    assert_eq!(encoded[0], DICTIONARY_FRAME);
    let stream = stream_of(&small).len();
    assert!(10 * encoded.len() < stream, "{} of {stream}", encoded.len());
    assert_eq!(plain_len(&encoded), Some(stream));
    let large = series(2000);
    assert!(stream_of(&large).len() > MAX_WITH_DICTIONARY);
    assert_eq!(encode(&large).unwrap()[0], PLAIN_FRAME);
    check(&large);
}

#[test]
fn a_stream_with_no_batch_or_several_is_an_error() {
    let batch = series(1);
    for count in [0, 2] {
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        (0..count).for_each(|_| writer.write(&batch).unwrap());
        let bytes = encode_plain(&writer.into_inner().unwrap()).unwrap();
        let wanted = format!("the stored payload has {count} batches instead of one");
        assert_eq!(decode(&bytes).unwrap_err().to_string(), wanted);
    }
}

#[test]
fn decoded_columns_share_the_decompressed_bytes() {
    let decoded = check(&series(100));
    let points = |column: &ArrayRef| column.to_data().child_data()[0].buffers()[0].data_ptr();
    assert_eq!(points(decoded.column(2)), points(decoded.column(3)));
}

#[test]
fn a_damaged_stream_never_panics() {
    let stream = stream_of(&series(20));
    let mut refused = 0;
    for at in 0..stream.len() {
        for flip in [0x01, 0x40, 0x80, 0xff] {
            let mut damaged = stream.clone();
            damaged[at] ^= flip;
            refused += usize::from(stream::read(Buffer::from_vec(damaged)).is_err());
        }
    }
    assert!(refused > stream.len() / 4, "{refused}");
}

#[test]
fn a_cut_off_stream_is_never_read_as_the_batch() {
    let batch = series(20);
    let stream = stream_of(&batch);
    let end_marker = 8;
    for len in 0..stream.len() - end_marker {
        if let Ok(batches) = stream::read(Buffer::from(&stream[..len])) {
            assert!(batches.is_empty(), "{len}");
        }
    }
}

#[test]
fn a_column_of_an_unknown_type_is_decoded_unchanged() {
    let column = Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef;
    check(&RecordBatch::try_from_iter([("later", column)]).unwrap());
}
