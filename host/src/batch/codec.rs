//! Encodes a batch to the payload of a record, and decodes it.
//!
//! A payload is one byte for the format, and one zstd frame with an Arrow IPC
//! stream. The frame has a checksum, so a damaged byte is an error and never a
//! wrong value. Decoding validates everything that it reads, allocates at most
//! [`MAX_BATCH_BYTES`], and copies no column: the columns are slices of the
//! decompressed bytes.
//!
//! Knows nothing of what the columns mean.

pub(crate) mod stream;
mod trusted;

use std::io::{self, Write};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;

pub(crate) use trusted::TrustedReader;

/// The maximum size of a batch before compression: lengths in Arrow IPC are 32 bits.
pub const MAX_BATCH_BYTES: usize = i32::MAX as usize;

/// The first byte of the only format so far.
const ARROW_ZSTD: u8 = 1;

// Values of metrics hardly compress: higher levels cost time and save little space.
const ZSTD_LEVEL: i32 = 1;

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
    #[error("the stored batch has format {found}, this host reads {ARROW_ZSTD} (use a newer host)")]
    UnknownFormat { found: u8 },
    #[error("the stored batch is damaged")]
    Decompress(#[source] io::Error),
    #[error("the stored batch is not a valid Arrow stream")]
    Read(#[source] ArrowError),
    #[error("the stored payload has {found} batches instead of one")]
    Count { found: usize },
}

/// Encodes a batch.
///
/// # Errors
///
/// The batch is larger than [`MAX_BATCH_BYTES`], or no memory is left.
pub fn encode(batch: &RecordBatch) -> Result<Vec<u8>, CodecError> {
    let plain = write_stream(batch).map_err(CodecError::Write)?;
    encode_plain(&plain)
}

/// Encodes a batch that [`write_plain`] has written.
///
/// # Errors
///
/// As [`encode`].
pub(crate) fn encode_plain(plain: &[u8]) -> Result<Vec<u8>, CodecError> {
    if plain.len() > MAX_BATCH_BYTES {
        return Err(CodecError::TooLarge { bytes: plain.len() });
    }
    compress(plain).map_err(CodecError::Compress)
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
    let plain = zstd::bulk::decompress(frame(bytes)?, MAX_BATCH_BYTES);
    plain.map(Buffer::from_vec).map_err(CodecError::Decompress)
}

/// The compressed stream of a record.
fn frame(bytes: &[u8]) -> Result<&[u8], CodecError> {
    match bytes.split_first() {
        None => Err(CodecError::Empty),
        Some((&ARROW_ZSTD, frame)) => Ok(frame),
        Some((&found, _)) => Err(CodecError::UnknownFormat { found }),
    }
}

/// The length of the stream, if the record says it.
pub(crate) fn plain_len(bytes: &[u8]) -> Option<usize> {
    let len = zstd::zstd_safe::get_frame_content_size(frame(bytes).ok()?).ok()??;
    usize::try_from(len).ok()
}

/// As [`decode_plain`], into `memory`. Returns the length of the stream.
///
/// # Errors
///
/// The bytes are damaged, or the stream does not fit.
pub(crate) fn decode_plain_to(bytes: &[u8], memory: &mut [u8]) -> Result<usize, CodecError> {
    zstd::bulk::decompress_to_buffer(frame(bytes)?, memory).map_err(CodecError::Decompress)
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

fn write_stream(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    writer.into_inner()
}

fn compress(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
    compressor.include_checksum(true)?;
    let frame = compressor.compress(plain)?;
    let mut bytes = Vec::with_capacity(frame.len() + 1);
    bytes.push(ARROW_ZSTD);
    bytes.extend_from_slice(&frame);
    Ok(bytes)
}

#[cfg(test)]
mod tests;
