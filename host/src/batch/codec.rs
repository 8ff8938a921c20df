//! Encodes a batch to the payload of a record, and decodes it.
//!
//! A stored payload is one byte for the format, and one zstd frame with an Arrow IPC
//! stream. The frame has a checksum, so a damaged byte is an error and never a
//! wrong value. Decoding validates everything that it reads, allocates at most
//! [`MAX_BATCH_BYTES`], and copies no column: the columns are slices of the
//! decompressed bytes.
//!
//! The stream of a small batch is mostly its schema and the layout of its columns, which the
//! frames of small batches refer to in a dictionary instead of repeating them. Small batches come
//! to the journal as rows, and those of one transaction are encoded together.
//!
//! Knows nothing of what the columns mean.

mod contexts;
mod group;
mod record;
mod small;
pub(crate) mod stream;
mod trusted;

use std::{
    io::{self, Write},
    sync::LazyLock,
};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;
use zstd::{
    bulk::{Compressor, Decompressor},
    dict::{DecoderDictionary, EncoderDictionary},
};

use super::memory::used_bytes;
use contexts::Contexts;
pub(crate) use group::{RowGroup, StoredPayloads, split};
pub(crate) use record::SharedPart;
pub use record::{RecordPayload, SmallBatch};
use small::write_small;
pub(crate) use trusted::TrustedReader;

/// The maximum size of a batch before compression: lengths in Arrow IPC are 32 bits.
pub const MAX_BATCH_BYTES: usize = i32::MAX as usize;

/// Formats of a payload: its first byte.
const PLAIN_FRAME: u8 = 1;
const DICTIONARY_FRAME: u8 = 2;
/// A stream as it is.
const STREAM: u8 = 3;
/// The streams of several records, as older hosts wrote them.
const STREAM_GROUP_FRAME: u8 = 4;
/// The rows of several records.
const ROW_GROUP_FRAME: u8 = 5;

// Values of metrics hardly compress: higher levels cost time and save little space.
const ZSTD_LEVEL: i32 = 1;

/// Batches up to this size are written as small streams, and streams up to it are compressed with the dictionary.
/// Longer ones repeat enough by themselves.
const MAX_WITH_DICTIONARY: usize = 64 << 10;

/// Batches up to this size are encoded together, on the thread that writes the journal. Larger ones have less in
/// common, and are encoded on several threads.
const MAX_IN_GROUP: usize = 16 << 10;

/// Words of batches, the stream of an alert, the offsets of columns with a fixed number of items in each
/// row, and the stream of a series. It never changes: stored payloads need it.
static DICTIONARY: &[u8] = include_bytes!("codec/dictionary.bin");
static ENCODER_DICTIONARY: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, ZSTD_LEVEL));
static DECODER_DICTIONARY: LazyLock<DecoderDictionary<'static>> =
    LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

/// For small batches.
static ENCODERS: Contexts<BatchEncoder> = Contexts::new();
static DECODERS: Contexts<Decompressor<'static>> = Contexts::new();

/// Why a batch could not be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("cannot write the batch as an Arrow stream")]
    Write(#[source] ArrowError),
    #[error("cannot compress the batch")]
    Compress(#[source] io::Error),
    #[error("the batch has {bytes} bytes, at most {MAX_BATCH_BYTES} can be stored")]
    TooLarge { bytes: usize },
    #[error("the stored batch is empty")]
    Empty,
    #[error(
        "the stored batch has format {found}, this host reads {PLAIN_FRAME} to {ROW_GROUP_FRAME} (use a newer host)"
    )]
    UnknownFormat { found: u8 },
    #[error("the stored batch is damaged")]
    Decompress(#[source] io::Error),
    #[error("the stored batch is not a valid Arrow stream")]
    Read(#[source] ArrowError),
    #[error("the stored payload has {found} batches instead of one")]
    Count { found: usize },
    #[error("the batches that are stored together are damaged")]
    Group,
}

/// Encodes small batches one after another.
struct BatchEncoder {
    compressor: Compressor<'static>,
    /// The stream of the last batch.
    plain: Vec<u8>,
}

/// Encodes a batch.
///
/// # Errors
///
/// The batch is larger than [`MAX_BATCH_BYTES`], or no memory is left.
pub fn encode(batch: &RecordBatch) -> Result<Vec<u8>, CodecError> {
    encode_with(|plain| write_stream(batch, plain), BatchEncoder::encode)
}

/// Encodes what `write` appends to the buffer of an encoder.
fn encode_with(
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), ArrowError>,
    encode: impl FnOnce(&mut BatchEncoder, &[u8]) -> Result<Vec<u8>, CodecError>,
) -> Result<Vec<u8>, CodecError> {
    let mut encoder = BatchEncoder::take().map_err(CodecError::Compress)?;
    let mut plain = std::mem::take(&mut encoder.plain);
    plain.clear();
    write(&mut plain).map_err(CodecError::Write)?;
    let encoded = encode(&mut encoder, &plain)?;
    if plain.capacity() <= 2 * MAX_WITH_DICTIONARY {
        encoder.plain = plain;
    }
    ENCODERS.put(encoder);
    Ok(encoded)
}

/// A batch as a stream that is not compressed.
fn as_payload(batch: &RecordBatch) -> Result<Vec<u8>, CodecError> {
    let mut payload = vec![STREAM];
    write_stream(batch, &mut payload).map_err(CodecError::Write)?;
    Ok(payload)
}

/// Whether a payload is a stream that is not compressed.
pub(crate) fn is_stream(payload: &[u8]) -> bool {
    payload.first() == Some(&STREAM)
}

/// As [`encode`], for a batch that [`write_plain`] has written.
///
/// # Errors
///
/// As [`encode`].
pub(crate) fn encode_plain(plain: &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut encoder = BatchEncoder::take().map_err(CodecError::Compress)?;
    let encoded = encoder.encode(plain)?;
    ENCODERS.put(encoder);
    Ok(encoded)
}

/// Decodes a batch.
///
/// # Errors
///
/// The bytes are damaged, or of another format.
pub fn decode(bytes: &[u8]) -> Result<RecordBatch, CodecError> {
    read_plain(decode_plain(bytes)?)
}

/// The stream that [`encode_plain`] has encoded.
///
/// # Errors
///
/// As [`decode`], but the stream is not read.
pub(crate) fn decode_plain(bytes: &[u8]) -> Result<Buffer, CodecError> {
    if let Some((&STREAM, stream)) = bytes.split_first() {
        return Ok(Buffer::from(stream));
    }
    let plain = decompress(bytes, |decompressor, frame| {
        decompressor.decompress(frame, MAX_BATCH_BYTES)
    });
    plain.map(Buffer::from_vec)
}

/// The length of the stream, if the record says it.
pub(crate) fn plain_len(bytes: &[u8]) -> Option<usize> {
    if let Some((&STREAM, stream)) = bytes.split_first() {
        return Some(stream.len());
    }
    let len = zstd::zstd_safe::get_frame_content_size(bytes.get(1..)?).ok()??;
    usize::try_from(len).ok()
}

/// As [`decode_plain`], into `memory`. Returns the length of the stream.
///
/// # Errors
///
/// The bytes are damaged, or the stream does not fit.
pub(crate) fn decode_plain_to(bytes: &[u8], memory: &mut [u8]) -> Result<usize, CodecError> {
    if let Some((&STREAM, mut stream)) = bytes.split_first() {
        let read = io::Read::read_exact(&mut stream, memory);
        return read.map(|()| memory.len()).map_err(CodecError::Decompress);
    }
    decompress(bytes, |decompressor, frame| {
        decompressor.decompress_to_buffer(frame, memory)
    })
}

/// Decodes a batch that [`write_plain`] has written.
///
/// # Errors
///
/// The bytes are not a valid stream of one batch.
pub(crate) fn read_plain(bytes: Buffer) -> Result<RecordBatch, CodecError> {
    let mut batches = stream::read(bytes).map_err(CodecError::Read)?;
    match (batches.pop(), batches.len()) {
        (Some(batch), 0) => Ok(batch),
        (None, _) => Err(CodecError::Count { found: 0 }),
        (Some(_), more) => Err(CodecError::Count { found: more + 1 }),
    }
}

/// Writes a batch as an Arrow stream, for another process of this machine.
///
/// # Errors
///
/// `writer` fails.
pub(crate) fn write_plain(batch: &RecordBatch, writer: impl Write) -> io::Result<()> {
    let write = || {
        let mut writer = StreamWriter::try_new_buffered(writer, &batch.schema())?;
        writer.write(batch)?;
        writer.finish()?;
        writer.flush()
    };
    write().map_err(|error: ArrowError| match error {
        ArrowError::IoError(_, error) => error,
        error => io::Error::other(error),
    })
}

fn write_stream(batch: &RecordBatch, plain: &mut Vec<u8>) -> Result<(), ArrowError> {
    if used_bytes(batch) <= MAX_WITH_DICTIONARY {
        return write_small(batch, plain);
    }
    let mut writer = StreamWriter::try_new(plain, &batch.schema())?;
    writer.write(batch)?;
    writer.finish()
}

impl BatchEncoder {
    /// One that is used again, or a new one.
    fn take() -> io::Result<Self> {
        if let Some(encoder) = ENCODERS.take() {
            return Ok(encoder);
        }
        let mut compressor = Compressor::with_prepared_dictionary(&ENCODER_DICTIONARY)?;
        compressor.include_checksum(true)?;
        Ok(Self {
            compressor,
            plain: Vec::new(),
        })
    }

    fn encode(&mut self, plain: &[u8]) -> Result<Vec<u8>, CodecError> {
        if plain.len() > MAX_BATCH_BYTES {
            return Err(CodecError::TooLarge { bytes: plain.len() });
        }
        if plain.len() <= MAX_WITH_DICTIONARY {
            return self.compress(DICTIONARY_FRAME, plain);
        }
        // Its memory is in proportion to the batch, and is not kept.
        let encoded = Compressor::new(ZSTD_LEVEL).and_then(|mut compressor| {
            compressor.include_checksum(true)?;
            compress(PLAIN_FRAME, &mut compressor, plain)
        });
        encoded.map_err(CodecError::Compress)
    }

    /// A frame that refers to the dictionary.
    fn compress(&mut self, format: u8, content: &[u8]) -> Result<Vec<u8>, CodecError> {
        compress(format, &mut self.compressor, content).map_err(CodecError::Compress)
    }
}

fn compress(format: u8, compressor: &mut Compressor<'_>, plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(1 + zstd::zstd_safe::compress_bound(plain.len()));
    bytes.push(format);
    let mut frame = io::Cursor::new(&mut bytes);
    frame.set_position(1);
    compressor.compress_to_buffer(plain, &mut frame)?;
    bytes.shrink_to_fit();
    Ok(bytes)
}

/// Decompresses the frame of one batch by `run`.
fn decompress<T>(
    payload: &[u8],
    run: impl FnOnce(&mut Decompressor<'_>, &[u8]) -> io::Result<T>,
) -> Result<T, CodecError> {
    let result = match payload.split_first() {
        None => return Err(CodecError::Empty),
        Some((&PLAIN_FRAME, frame)) => {
            Decompressor::new().and_then(|mut decompressor| run(&mut decompressor, frame))
        }
        Some((&DICTIONARY_FRAME, frame)) => {
            decompress_small(|decompressor| run(decompressor, frame))
        }
        // `split` reads the frames of several batches.
        Some((&(STREAM_GROUP_FRAME | ROW_GROUP_FRAME), _)) => return Err(CodecError::Group),
        Some((&found, _)) => return Err(CodecError::UnknownFormat { found }),
    };
    result.map_err(CodecError::Decompress)
}

/// Decompresses a frame that refers to the dictionary.
fn decompress_small<T>(run: impl FnOnce(&mut Decompressor<'_>) -> io::Result<T>) -> io::Result<T> {
    let mut decompressor = take_decompressor()?;
    let plain = run(&mut decompressor)?;
    DECODERS.put(decompressor);
    Ok(plain)
}

fn take_decompressor() -> io::Result<Decompressor<'static>> {
    match DECODERS.take() {
        Some(decompressor) => Ok(decompressor),
        None => Decompressor::with_prepared_dictionary(&DECODER_DICTIONARY),
    }
}

#[cfg(test)]
mod tests;
