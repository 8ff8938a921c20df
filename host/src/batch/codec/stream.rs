//! Reads an Arrow IPC stream from an untrusted source.
//!
//! The columns of the batches are slices of the input. Every length in the stream
//! is compared with the size of the input before it is used, and no part of the input
//! is used twice. So no message allocates more than a small multiple of its size or
//! takes longer than its size explains, and no input panics.

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::{Message, MessageHeader, reader::StreamDecoder, root_as_message_with_opts};
use arrow_schema::ArrowError;
use flatbuffers::VerifierOptions;

use crate::panics;

// The first bytes of a message in the current format. Older formats do not have them.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Tables in the description of a message. A column needs two to six of them, so this is
/// some hundred columns.
const MAX_TABLES: usize = 4096;

/// Reads a stream message by message.
pub(crate) struct StreamReader {
    decoder: StreamDecoder,
    /// The part of the current message that the decoder has not taken.
    message: Buffer,
    /// The following messages.
    rest: Buffer,
}

/// What a message is.
pub(crate) enum StreamMessage {
    Batch(RecordBatch),
    /// A message that only describes later ones.
    Other,
    EndOfStream,
}

/// The batches of a whole stream.
///
/// # Errors
///
/// As [`StreamReader::next_message`].
pub(crate) fn read(bytes: Buffer) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut reader = StreamReader::new(bytes);
    let mut batches = Vec::new();
    loop {
        match reader.next_message()? {
            StreamMessage::Batch(batch) => batches.push(batch),
            StreamMessage::Other => {}
            StreamMessage::EndOfStream => return Ok(batches),
        }
    }
}

impl StreamReader {
    pub(crate) fn new(bytes: Buffer) -> Self {
        Self {
            decoder: StreamDecoder::new(),
            message: Buffer::default(),
            rest: bytes,
        }
    }

    /// # Errors
    ///
    /// The bytes are no valid stream, it is cut off, or its buffers are compressed.
    pub(crate) fn next_message(&mut self) -> Result<StreamMessage, ArrowError> {
        if self.message.is_empty() {
            let end = match Envelope::next(&self.rest)? {
                Some(envelope) => envelope.check()?,
                None => self.rest.len(),
            };
            self.message = self.rest.slice_with_length(0, end);
            self.rest = self.rest.slice(end);
        }
        if self.message.is_empty() {
            return self.finish();
        }
        // These checks do not know the column types. If the length of a buffer is not a
        // multiple of its element size, the Arrow reader panics. Such a request must fail
        // alone.
        let decoded = panics::catch(|| self.decoder.decode(&mut self.message));
        let batch = decoded.unwrap_or_else(|| Err(broken("the reader failed on it")))?;
        Ok(batch.map_or(StreamMessage::Other, StreamMessage::Batch))
    }

    fn finish(&mut self) -> Result<StreamMessage, ArrowError> {
        self.decoder.finish()?;
        if self.decoder.schema().is_none() {
            return Err(broken("it has no schema"));
        }
        Ok(StreamMessage::EndOfStream)
    }
}

/// One message without its body, and the rest of the stream.
struct Envelope<'a> {
    message: &'a [u8],
    after: &'a [u8],
    /// Bytes before `after`.
    len: usize,
}

impl<'a> Envelope<'a> {
    fn next(rest: &'a [u8]) -> Result<Option<Self>, ArrowError> {
        let all = rest.len();
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
                let len = all - after.len();
                Ok(Some(Self {
                    message,
                    after,
                    len,
                }))
            }
        }
    }

    /// Checks the message, and returns the number of its bytes with its body.
    fn check(&self) -> Result<usize, ArrowError> {
        let options = VerifierOptions {
            max_tables: MAX_TABLES,
            // Parts of a message can point to the same bytes. Expanded, they must not be
            // much more than the message.
            max_apparent_size: 4 * self.message.len() + (64 << 10),
            ..VerifierOptions::default()
        };
        let message = root_as_message_with_opts(&options, self.message).map_err(broken)?;
        let body = usize::try_from(message.bodyLength())
            .ok()
            .filter(|&body| body <= self.after.len())
            .ok_or_else(cut_off)?;
        check_message(&message, body)?;
        Ok(self.len + body)
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
    let mut unused = body;
    for buffer in batch.buffers().iter().flatten() {
        let start = usize::try_from(buffer.offset()).ok();
        let len = usize::try_from(buffer.length()).ok();
        let end = start
            .zip(len)
            .and_then(|(start, len)| start.checked_add(len));
        if end.is_none_or(|end| end > body) {
            return Err(broken("a buffer lies outside its message"));
        }
        // Otherwise a thousand columns could be the same bytes, and each would be read.
        unused = unused
            .checked_sub(len.unwrap_or_default())
            .ok_or_else(|| broken("its buffers overlap"))?;
    }
    Ok(())
}

fn cut_off() -> ArrowError {
    broken("it is cut off")
}

fn broken(reason: impl std::fmt::Display) -> ArrowError {
    ArrowError::IpcError(reason.to_string())
}
