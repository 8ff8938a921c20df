//! A batch to the bytes that the journal keeps, and back.
//!
//! One byte that names the format, then one zstd frame with an Arrow IPC stream
//! in it. The frame carries a checksum, so a damaged byte is an error and never
//! another number. Decoding validates everything it reads, allocates no more
//! than [`MAX_BATCH_BYTES`], and copies no column: the columns are slices of the
//! decompressed bytes.
//!
//! Knows nothing of what the columns mean.

pub(crate) mod stream;

use std::io;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;

/// The most that a batch may take before it is compressed.
pub const MAX_BATCH_BYTES: usize = i32::MAX as usize;

/// What the first byte says: zstd around an Arrow IPC stream.
const ARROW_ZSTD: u8 = 1;

// The journal is written once for all exporters and the numbers in it hardly
// compress: higher levels cost time and win little.
const ZSTD_LEVEL: i32 = 1;

/// Why a batch could not be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The batch cannot be written as an Arrow IPC stream.
    #[error("cannot write the batch as an Arrow stream")]
    Write(#[source] ArrowError),
    /// The compressor failed.
    #[error("cannot compress the batch")]
    Compress(#[source] io::Error),
    /// More than [`MAX_BATCH_BYTES`].
    #[error(
        "the batch takes {bytes} bytes, at most {MAX_BATCH_BYTES} can be kept (make it smaller)"
    )]
    TooLarge {
        /// What it takes.
        bytes: usize,
    },
    /// Nothing to decode.
    #[error("the stored batch is empty")]
    Empty,
    /// Bytes of a format that this version does not know.
    #[error("the stored batch has format {found}, this host reads {ARROW_ZSTD} (use a newer host)")]
    UnknownFormat {
        /// What the first byte says.
        found: u8,
    },
    /// The compressed bytes are damaged.
    #[error("the stored batch is damaged")]
    Decompress(#[source] io::Error),
    /// What was compressed is no Arrow IPC stream.
    #[error("the stored batch is no valid Arrow stream")]
    Read(#[source] ArrowError),
    /// The stream does not hold exactly one batch.
    #[error("the stored bytes hold {found} batches instead of one")]
    Count {
        /// How many it holds.
        found: usize,
    },
}

/// The bytes of a batch.
///
/// # Errors
///
/// The batch is larger than [`MAX_BATCH_BYTES`], or memory ran out.
pub fn encode(batch: &RecordBatch) -> Result<Vec<u8>, CodecError> {
    let plain = write_stream(batch).map_err(CodecError::Write)?;
    if plain.len() > MAX_BATCH_BYTES {
        return Err(CodecError::TooLarge { bytes: plain.len() });
    }
    compress(&plain).map_err(CodecError::Compress)
}

/// The batch of these bytes.
///
/// # Errors
///
/// The bytes are damaged, or of another format.
pub fn decode(bytes: &[u8]) -> Result<RecordBatch, CodecError> {
    let (&format, frame) = bytes.split_first().ok_or(CodecError::Empty)?;
    if format != ARROW_ZSTD {
        return Err(CodecError::UnknownFormat { found: format });
    }
    let plain = zstd::bulk::decompress(frame, MAX_BATCH_BYTES).map_err(CodecError::Decompress)?;
    let mut batches = stream::read(Buffer::from_vec(plain)).map_err(CodecError::Read)?;
    match (batches.pop(), batches.len()) {
        (Some(batch), 0) => Ok(batch),
        (None, _) => Err(CodecError::Count { found: 0 }),
        (Some(_), more) => Err(CodecError::Count { found: more + 1 }),
    }
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
