//! Records as the log of a partition has them.

use std::io::{self, Read};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::{
    indexmap::IndexMap,
    protocol::StrBytes,
    records::{
        Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Record,
        RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
    },
};

use super::topic::MAX_BATCH_BYTES;

/// The level that is the default of zstd.
const ZSTD_LEVEL: i32 = 3;

/// The version of the format of records since Kafka 0.11.
const FORMAT: i8 = 2;

// A record batch begins with the offset of its first record, and its size without these two.
const SIZE_AT: usize = 8;
const BEFORE_CONTENT: usize = 12;
/// The number of the last record, counted from the first.
const LAST_AT: usize = 23;
/// What precedes the records.
const HEADER_BYTES: usize = 61;

/// A record that is read.
#[derive(Clone, Debug)]
pub(in crate::journal::kafka) struct PartitionRecord {
    pub(in crate::journal::kafka) offset: i64,
    pub(in crate::journal::kafka) value: Bytes,
    headers: IndexMap<StrBytes, Option<Bytes>>,
}

/// The records of a fetch.
#[derive(Debug, Default)]
pub(in crate::journal::kafka) struct FetchedRecords {
    pub(in crate::journal::kafka) records: Vec<PartitionRecord>,
    /// The offset after the last one, also of records that are not for readers. `None`: there are none.
    pub(in crate::journal::kafka) end_offset: Option<i64>,
}

/// A record to write.
#[derive(Clone, Debug, Default)]
pub(in crate::journal::kafka) struct NewPartitionRecord {
    /// Milliseconds since the Unix epoch.
    pub(in crate::journal::kafka) timestamp_ms: i64,
    pub(in crate::journal::kafka) key: Option<String>,
    pub(in crate::journal::kafka) value: Bytes,
    pub(in crate::journal::kafka) headers: Vec<(&'static str, String)>,
}

impl PartitionRecord {
    /// The text of a header.
    pub(in crate::journal::kafka) fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.get(name.as_bytes())?.as_ref()?;
        std::str::from_utf8(value).ok()
    }
}

/// The records as one batch, which the broker appends as a whole or not at all.
pub(in crate::journal::kafka) fn encode(
    records: Vec<NewPartitionRecord>,
    compression: Compression,
) -> Result<Bytes, String> {
    let records: Vec<Record> = records.into_iter().zip(0..).map(record).collect();
    let options = RecordEncodeOptions {
        version: FORMAT,
        compression,
    };
    let mut batch = BytesMut::new();
    // The library has a release of zstd of its own.
    let compress = |records: &mut BytesMut, batch: &mut BytesMut, compression: Compression| {
        if compression == Compression::Zstd {
            batch.put_slice(&zstd::bulk::compress(records, ZSTD_LEVEL)?);
        } else {
            batch.put_slice(records);
        }
        Ok(())
    };
    RecordBatchEncoder::encode_with_custom_compression(
        &mut batch,
        &records,
        &options,
        Some(compress),
    )
    .map_err(|error| error.to_string())?;
    Ok(batch.freeze())
}

/// The records of whole batches. A fetch cuts the last one off where its limit is.
pub(super) fn decode(mut batches: Bytes) -> Result<FetchedRecords, String> {
    let mut fetched = FetchedRecords::default();
    while let Some(batch_bytes) = whole_batch(&batches)? {
        let mut batch = batches.split_to(batch_bytes);
        let (first, last) = (number::<8>(&batch, 0), number::<4>(&batch, LAST_AT));
        fetched.end_offset =
            Some(i64::from_be_bytes(first) + i64::from(i32::from_be_bytes(last)) + 1);
        let decoded =
            RecordBatchDecoder::decode_with_custom_compression(&mut batch, Some(decompress))
                .map_err(|error| error.to_string())?;
        let written = decoded.records.into_iter().filter(|record| !record.control);
        fetched
            .records
            .extend(written.map(|record| PartitionRecord {
                offset: record.offset,
                value: record.value.unwrap_or_default(),
                headers: record.headers,
            }));
    }
    Ok(fetched)
}

/// The records of a batch as they were before they were compressed.
fn decompress<E: From<io::Error>>(
    records: &mut Bytes,
    compression: Compression,
) -> Result<Bytes, E> {
    match compression {
        Compression::None => Ok(records.clone()),
        Compression::Zstd => {
            let mut plain = Vec::new();
            let limit = MAX_BATCH_BYTES as u64;
            let decoder = zstd::Decoder::new(records.reader())?;
            decoder.take(limit).read_to_end(&mut plain)?;
            Ok(plain.into())
        }
        Compression::Gzip | Compression::Snappy | Compression::Lz4 => Err(io::Error::other(
            "its records are compressed by another program (do not set `compression.type` of the topic)",
        )
        .into()),
    }
}

/// The size of the first batch; `None` if it is not whole.
fn whole_batch(batches: &Bytes) -> Result<Option<usize>, String> {
    if batches.len() < HEADER_BYTES {
        return Ok(None);
    }
    let size = i32::from_be_bytes(number(batches, SIZE_AT));
    let size = usize::try_from(size).ok().map(|size| size + BEFORE_CONTENT);
    match size {
        Some(size) if size >= HEADER_BYTES => Ok((batches.len() >= size).then_some(size)),
        Some(_) | None => Err("a batch of records has no size".to_owned()),
    }
}

fn number<const N: usize>(batch: &Bytes, at: usize) -> [u8; N] {
    let mut number = [0; N];
    number.copy_from_slice(&batch[at..at + N]);
    number
}

fn record((record, index): (NewPartitionRecord, i32)) -> Record {
    let headers = record.headers.into_iter().map(|(name, value)| {
        (
            StrBytes::from_static_str(name),
            Some(Bytes::from(value.into_bytes())),
        )
    });
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: index.into(),
        // The first record has -1, for none; the library wants them to grow with the offsets.
        sequence: index - 1,
        timestamp: record.timestamp_ms,
        key: record.key.map(|key| Bytes::from(key.into_bytes())),
        value: Some(record.value),
        headers: headers.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_record(value: &str) -> NewPartitionRecord {
        NewPartitionRecord {
            value: Bytes::from(value.to_owned()),
            headers: vec![("name", value.to_owned())],
            ..NewPartitionRecord::default()
        }
    }

    #[test]
    fn records_are_read_as_they_were_written_and_a_batch_that_was_cut_off_is_left_out() {
        let batch = |values: &[&str]| {
            let records = values.iter().map(|value| new_record(value)).collect();
            encode(records, Compression::None).unwrap()
        };
        let (whole, cut) = (batch(&["a", "b"]), batch(&["c"]));
        for cut_off in [cut.len(), 1, 20] {
            let mut fetched = BytesMut::from(&*whole);
            fetched.extend_from_slice(&cut[..cut.len() - cut_off]);
            let read = decode(fetched.freeze()).unwrap();
            assert_eq!(read.end_offset, Some(2));
            let read: Vec<_> = read
                .records
                .iter()
                .map(|record| (record.offset, record.header("name"), &*record.value))
                .collect();
            assert_eq!(read, [(0, Some("a"), &b"a"[..]), (1, Some("b"), &b"b"[..])]);
        }
    }

    #[test]
    fn damaged_records_are_refused() {
        let mut batch = BytesMut::from(&*encode(vec![new_record("a")], Compression::None).unwrap());
        let last = batch.len() - 1;
        batch[last] ^= 1;
        assert!(decode(batch.freeze()).is_err());
    }
}
