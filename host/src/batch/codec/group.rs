//! The streams of small records that are stored together: in one frame, so that what they have in
//! common is stored once.
//!
//! The content of the frame is the number of streams, the length of each, and the streams.

use super::{
    BatchEncoder, CodecError, ENCODERS, GROUP_FRAME, MAX_IN_GROUP, MAX_WITH_DICTIONARY, STREAM,
};

const LEN_BYTES: usize = size_of::<u32>();

/// The longest content of a frame.
const MAX_CONTENT: usize = MAX_WITH_DICTIONARY + MAX_IN_GROUP;

/// Streams for one frame.
#[derive(Debug, Default)]
pub(crate) struct StreamGroup {
    lens: Vec<u32>,
    streams: Vec<u8>,
}

impl StreamGroup {
    /// Whether a payload is a stream that can be stored with others.
    pub(crate) fn takes(payload: &[u8]) -> bool {
        payload.first() == Some(&STREAM)
    }

    /// A group of one payload.
    pub(crate) fn of(payload: &[u8]) -> Self {
        let mut group = Self::default();
        group.push(payload);
        group
    }

    /// Whether the frame has no room for one more payload.
    pub(crate) fn is_full_for(&self, payload: &[u8]) -> bool {
        let lens = LEN_BYTES * (self.lens.len() + 2);
        !self.is_empty() && lens + self.streams.len() + payload.len() > MAX_WITH_DICTIONARY
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.lens.is_empty()
    }

    /// Bytes before compression.
    pub(crate) const fn bytes(&self) -> u64 {
        self.streams.len() as u64
    }

    /// Adds a payload that [`Self::takes`] accepts.
    pub(crate) fn push(&mut self, payload: &[u8]) {
        let stream = payload.get(1..).unwrap_or_default();
        self.lens.push(stream.len() as u32);
        self.streams.extend_from_slice(stream);
    }

    /// The payload that is stored for all of them. One stream is stored as a batch by itself.
    ///
    /// # Errors
    ///
    /// No memory is left.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let mut encoder = BatchEncoder::take().map_err(CodecError::Compress)?;
        let encoded = if self.lens.len() == 1 {
            encoder.encode(&self.streams)
        } else {
            let count = self.lens.len() as u32;
            let lens = [count].into_iter().chain(self.lens.iter().copied());
            let mut content: Vec<u8> = lens.flat_map(u32::to_le_bytes).collect();
            content.extend_from_slice(&self.streams);
            encoder.compress(GROUP_FRAME, &content)
        };
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
pub(crate) fn split(payload: &[u8]) -> Result<Option<Vec<Vec<u8>>>, CodecError> {
    if payload.first() != Some(&GROUP_FRAME) {
        return Ok(None);
    }
    let content = super::decompress(payload, |decompressor, frame| {
        decompressor.decompress(frame, MAX_CONTENT)
    })?;
    split_content(&content).map(Some).ok_or(CodecError::Group)
}

fn split_content(content: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (count, rest) = content.split_first_chunk::<LEN_BYTES>()?;
    let count = u32::from_le_bytes(*count) as usize;
    let (lens, mut streams) = rest.split_at_checked(count.checked_mul(LEN_BYTES)?)?;
    let mut payloads = Vec::with_capacity(count);
    for len in lens.chunks_exact(LEN_BYTES) {
        let len = u32::from_le_bytes(len.try_into().ok()?) as usize;
        let (stream, rest) = streams.split_at_checked(len)?;
        payloads.push(super::as_payload(stream));
        streams = rest;
    }
    streams.is_empty().then_some(payloads)
}
