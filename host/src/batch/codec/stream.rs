//! Reads an Arrow IPC stream from an untrusted source.
//!
//! The columns of the batches are slices of the input. Every length in the stream
//! is compared with the size of the input before it is used, so no input allocates
//! more than a small multiple of its size, and no input panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::{Message, MessageHeader, reader::StreamDecoder, root_as_message};
use arrow_schema::ArrowError;

// The first bytes of a message in the current format. Older formats do not have them.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// The batches of a whole stream.
///
/// # Errors
///
/// The bytes are no valid stream, it is cut off, or its buffers are compressed.
pub(crate) fn read(bytes: Buffer) -> Result<Vec<RecordBatch>, ArrowError> {
    check_envelopes(&bytes)?;
    // These checks do not know the column types. If the length of a buffer is not a
    // multiple of its element size, the Arrow reader panics. Such a request must fail
    // alone.
    catch_unwind(AssertUnwindSafe(|| decode(bytes)))
        .unwrap_or_else(|_| Err(broken("the reader failed on it")))
}

fn decode(mut bytes: Buffer) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut decoder = StreamDecoder::new();
    let mut batches = Vec::new();
    while !bytes.is_empty() {
        batches.extend(decoder.decode(&mut bytes)?);
    }
    decoder.finish()?;
    if decoder.schema().is_none() {
        return Err(broken("it has no schema"));
    }
    Ok(batches)
}

/// Compares each buffer of each message with the body that contains it. The Arrow
/// reader slices the body without this check.
fn check_envelopes(mut rest: &[u8]) -> Result<(), ArrowError> {
    while let Some(envelope) = Envelope::next(rest)? {
        let message = root_as_message(envelope.message).map_err(broken)?;
        let body = usize::try_from(message.bodyLength())
            .ok()
            .filter(|&body| body <= envelope.after.len())
            .ok_or_else(cut_off)?;
        check_message(&message, body)?;
        rest = &envelope.after[body..];
    }
    Ok(())
}

/// One message without its body, and the rest of the stream.
struct Envelope<'a> {
    message: &'a [u8],
    after: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn next(rest: &'a [u8]) -> Result<Option<Self>, ArrowError> {
        if rest.is_empty() {
            return Ok(None);
        }
        let rest = rest.strip_prefix(&CONTINUATION).unwrap_or(rest);
        let (size, rest) = rest.split_first_chunk().ok_or_else(cut_off)?;
        match (u32::from_le_bytes(*size) as usize, rest.len()) {
            (0, 0) => Ok(None),
            (0, _) => Err(broken("bytes follow its end")),
            (size, _) => {
                let (message, after) = rest.split_at_checked(size).ok_or_else(cut_off)?;
                Ok(Some(Self { message, after }))
            }
        }
    }
}

fn check_message(message: &Message<'_>, body: usize) -> Result<(), ArrowError> {
    let batch = match message.header_type() {
        MessageHeader::RecordBatch => message.header_as_record_batch(),
        MessageHeader::DictionaryBatch => message
            .header_as_dictionary_batch()
            .and_then(|dictionary| dictionary.data()),
        _ => return Ok(()),
    };
    let batch = batch.ok_or_else(|| broken("a message in it is empty"))?;
    if batch.compression().is_some() {
        return Err(broken(
            "its buffers are compressed (send them plain, and compress the whole body with zstd or gzip)",
        ));
    }
    for node in batch.nodes().iter().flatten() {
        if node.length() < 0 || node.null_count() < 0 || node.null_count() > node.length() {
            return Err(broken("a length in it is wrong"));
        }
    }
    for buffer in batch.buffers().iter().flatten() {
        let start = usize::try_from(buffer.offset()).ok();
        let len = usize::try_from(buffer.length()).ok();
        let end = start
            .zip(len)
            .and_then(|(start, len)| start.checked_add(len));
        if end.is_none_or(|end| end > body) {
            return Err(broken("a buffer lies outside its message"));
        }
    }
    Ok(())
}

fn cut_off() -> ArrowError {
    broken("it is cut off")
}

fn broken(reason: impl std::fmt::Display) -> ArrowError {
    ArrowError::IpcError(reason.to_string())
}
