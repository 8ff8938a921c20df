//! Small batches that are stored together: in one stream and one frame, so that what they have in
//! common is written once, and read once.
//!
//! The content of the frame is the stream of all rows, the number of rows of each batch, and the
//! number of batches. Older hosts wrote the number of batches, the length of the stream of each, and
//! these streams.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;

use super::{
    BatchEncoder, CodecError, ENCODERS, MAX_IN_GROUP, MAX_WITH_DICTIONARY, ROW_GROUP_FRAME, STREAM,
    STREAM_GROUP_FRAME, encode, read_plain,
    record::{GroupRows, RecordPayload},
    write_stream,
};
use crate::batch::{concat, memory::HeldBytes, with_shared_schema};

const COUNT_BYTES: usize = size_of::<u32>();

/// The longest content of a frame: rows up to [`MAX_WITH_DICTIONARY`], and what describes them.
const MAX_CONTENT: usize = 1 << 20;

/// Rows for one frame.
#[derive(Debug, Default)]
pub(crate) struct RowGroup {
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl RowGroup {
    /// A group of one batch.
    pub(crate) fn of(rows: &GroupRows) -> Self {
        let mut group = Self::default();
        group.push(rows);
        group
    }

    /// Whether the rows of one more batch belong into another frame: they are too many, or have other columns.
    pub(crate) fn is_full_for(&self, rows: &GroupRows) -> bool {
        let has_other_columns = |batch: &RecordBatch| batch.schema_ref() != rows.rows.schema_ref();
        self.batches.last().is_some_and(has_other_columns)
            || !self.is_empty() && self.bytes + rows.held_bytes as usize > MAX_WITH_DICTIONARY
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Bytes before compression.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes as u64
    }

    pub(crate) fn push(&mut self, rows: &GroupRows) {
        self.bytes += rows.held_bytes as usize;
        self.batches.push(rows.rows.clone());
    }

    /// The payload that is stored for all of them. One batch is stored by itself.
    ///
    /// # Errors
    ///
    /// No memory is left.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, CodecError> {
        if let [one] = self.batches.as_slice() {
            return encode(one);
        }
        let all = concat(&self.batches).map_err(CodecError::Write)?;
        let mut encoder = BatchEncoder::take().map_err(CodecError::Compress)?;
        let mut content = std::mem::take(&mut encoder.plain);
        content.clear();
        write_stream(&all, &mut content).map_err(CodecError::Write)?;
        let rows = self.batches.iter().map(|batch| batch.num_rows() as u32);
        for count in rows.chain([self.batches.len() as u32]) {
            content.extend_from_slice(&count.to_le_bytes());
        }
        if content.len() > MAX_CONTENT {
            return Err(CodecError::TooLarge {
                bytes: content.len(),
            });
        }
        let encoded = encoder.compress(ROW_GROUP_FRAME, &content);
        encoder.plain = content;
        ENCODERS.put(encoder);
        encoded
    }
}

/// The payloads of the records that are stored in a frame, in their order; `None` if a payload is
/// that of one record.
///
/// # Errors
///
/// The bytes are damaged.
pub(crate) fn split(payload: &[u8]) -> Result<Option<Vec<RecordPayload>>, CodecError> {
    let (split, max): (fn(Vec<u8>) -> _, _) = match payload.first() {
        Some(&ROW_GROUP_FRAME) => (split_rows, MAX_CONTENT),
        Some(&STREAM_GROUP_FRAME) => (split_streams, MAX_WITH_DICTIONARY + MAX_IN_GROUP),
        Some(_) | None => return Ok(None),
    };
    let content = super::decompress(payload, |decompressor, frame| {
        decompressor.decompress(frame, max)
    })?;
    split(content).map(Some)
}

fn split_rows(content: Vec<u8>) -> Result<Vec<RecordPayload>, CodecError> {
    let (stream, counts) = parts_of(&content).ok_or(CodecError::Group)?;
    let (stream, counts) = (stream.len(), Vec::from_iter(counts));
    let all = read_plain(Buffer::from_vec(content).slice_with_length(0, stream))?;
    if counts.iter().sum::<usize>() != all.num_rows() {
        return Err(CodecError::Group);
    }
    let all = Arc::new(with_shared_schema(all));
    let held = HeldBytes::of(&all);
    let mut first = 0;
    let payloads = counts.into_iter().map(|count| {
        let rows = first..first + count;
        first += count;
        RecordPayload::Rows(GroupRows::new(&all, rows, held))
    });
    Ok(payloads.collect())
}

/// The stream, and the number of rows of each batch.
fn parts_of(content: &[u8]) -> Option<(&[u8], impl Iterator<Item = usize>)> {
    let (rest, count) = content.split_last_chunk::<COUNT_BYTES>()?;
    let counts_bytes = as_count(count).checked_mul(COUNT_BYTES)?;
    let (stream, counts) = rest.split_at_checked(rest.len().checked_sub(counts_bytes)?)?;
    Some((stream, counts.as_chunks().0.iter().map(as_count)))
}

fn split_streams(content: Vec<u8>) -> Result<Vec<RecordPayload>, CodecError> {
    streams_of(&content).ok_or(CodecError::Group)
}

fn streams_of(content: &[u8]) -> Option<Vec<RecordPayload>> {
    let (count, rest) = content.split_first_chunk::<COUNT_BYTES>()?;
    let (lens, mut streams) = rest.split_at_checked(as_count(count).checked_mul(COUNT_BYTES)?)?;
    let mut payloads = Vec::new();
    for len in lens.as_chunks().0 {
        let (stream, rest) = streams.split_at_checked(as_count(len))?;
        payloads.push([&[STREAM], stream].concat().into());
        streams = rest;
    }
    streams.is_empty().then_some(payloads)
}

fn as_count(bytes: &[u8; COUNT_BYTES]) -> usize {
    u32::from_le_bytes(*bytes) as usize
}
