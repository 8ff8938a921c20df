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
    CodecError, MAX_WITH_DICTIONARY, ROW_GROUP_FRAME, STREAM, STREAM_GROUP_FRAME, decompress_small,
    encode, encode_with, read_plain,
    record::{RecordPayload, SmallBatch},
    write_stream,
};
use crate::batch::{concat, memory::HeldBytes, with_shared_schema};

const COUNT_BYTES: usize = size_of::<u32>();

/// The longest content of a frame that is read: far more than a group has, whose rows take at most
/// [`MAX_WITH_DICTIONARY`] bytes.
const MAX_CONTENT: usize = 1 << 20;

/// Small batches for one frame.
#[derive(Debug, Default)]
pub(crate) struct RowGroup {
    batches: Vec<RecordBatch>,
    bytes: u64,
}

/// What was stored in one frame.
#[derive(Debug)]
pub(crate) enum StoredPayloads {
    /// Batches that are rows of one, by the end of each.
    Rows {
        all: Arc<RecordBatch>,
        held: HeldBytes,
        ends: Vec<usize>,
    },
    Encoded(Vec<RecordPayload>),
}

impl RowGroup {
    /// A group of one batch.
    pub(crate) fn of(batch: &SmallBatch) -> Self {
        let mut group = Self::default();
        group.push(batch);
        group
    }

    /// Whether one more batch belongs into another frame: it has too many rows, or other columns.
    pub(crate) fn is_full_for(&self, batch: &SmallBatch) -> bool {
        let has_other_columns = |last: &RecordBatch| last.schema_ref() != batch.rows.schema_ref();
        self.batches.last().is_some_and(has_other_columns)
            || !self.is_empty() && self.bytes + batch.bytes > MAX_WITH_DICTIONARY as u64
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Bytes before they are encoded.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn push(&mut self, batch: &SmallBatch) {
        self.bytes += batch.bytes;
        self.batches.push(batch.rows.clone());
    }

    /// The payload that is stored for all of them. One batch is stored by itself.
    ///
    /// # Errors
    ///
    /// As [`encode`].
    pub(crate) fn encode(&self) -> Result<Vec<u8>, CodecError> {
        if let [one] = self.batches.as_slice() {
            return encode(one);
        }
        let all = concat(&self.batches).map_err(CodecError::Write)?;
        let rows = self.batches.iter().map(|batch| batch.num_rows() as u32);
        let counts = rows.chain([self.batches.len() as u32]);
        let write = |content: &mut Vec<u8>| {
            write_stream(&all, content)?;
            content.extend(counts.flat_map(u32::to_le_bytes));
            Ok(())
        };
        encode_with(write, |encoder, content| {
            encoder.compress(ROW_GROUP_FRAME, content)
        })
    }
}

impl StoredPayloads {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Rows { ends, .. } => ends.len(),
            Self::Encoded(payloads) => payloads.len(),
        }
    }

    /// The payload of a record, whose bytes are moved out.
    pub(crate) fn take(&mut self, index: usize) -> Option<RecordPayload> {
        match self {
            Self::Rows { all, held, ends } => {
                let end = *ends.get(index)?;
                let start = index.checked_sub(1).map_or(0, |before| ends[before]);
                let batch = SmallBatch::part(all, *held, start..end);
                Some(RecordPayload::Rows(batch))
            }
            Self::Encoded(payloads) => payloads.get_mut(index).map(std::mem::take),
        }
    }
}

/// The payloads of the records that are stored in a frame, in their order; `None` if a payload is
/// that of one record.
///
/// # Errors
///
/// The bytes are damaged.
pub(crate) fn split(payload: &[u8]) -> Result<Option<StoredPayloads>, CodecError> {
    let split = match payload.first() {
        Some(&ROW_GROUP_FRAME) => split_rows,
        Some(&STREAM_GROUP_FRAME) => split_streams,
        Some(_) | None => return Ok(None),
    };
    let content =
        decompress_small(|decompressor| decompressor.decompress(&payload[1..], MAX_CONTENT));
    split(content.map_err(CodecError::Decompress)?).map(Some)
}

fn split_rows(content: Vec<u8>) -> Result<StoredPayloads, CodecError> {
    let (stream_len, counts) = stream_and_counts(&content).ok_or(CodecError::Group)?;
    let mut rows = 0;
    let ends = counts.map(|count| {
        rows += count;
        rows
    });
    let ends: Vec<_> = ends.collect();
    let all = read_plain(Buffer::from_vec(content).slice_with_length(0, stream_len))?;
    if rows != all.num_rows() {
        return Err(CodecError::Group);
    }
    let all = Arc::new(with_shared_schema(all));
    let held = HeldBytes::of(&all);
    Ok(StoredPayloads::Rows { all, held, ends })
}

/// The length of the stream, and the number of rows of each batch.
fn stream_and_counts(content: &[u8]) -> Option<(usize, impl Iterator<Item = usize>)> {
    let (rest, count) = content.split_last_chunk::<COUNT_BYTES>()?;
    let counts_bytes = as_count(count).checked_mul(COUNT_BYTES)?;
    let (stream, counts) = rest.split_at_checked(rest.len().checked_sub(counts_bytes)?)?;
    Some((stream.len(), counts.as_chunks().0.iter().map(as_count)))
}

fn split_streams(content: Vec<u8>) -> Result<StoredPayloads, CodecError> {
    let payloads = streams_of(&content).ok_or(CodecError::Group)?;
    Ok(StoredPayloads::Encoded(payloads))
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
