//! Frames on a stream of bytes: two lengths, a header, a payload.
//!
//! Promises: a length that is too large is an error before anything is allocated for it,
//! and a buffer grows only with the bytes that have arrived.

use std::{io, ops::Range};

use bytes::{Bytes, BytesMut};

use crate::platform::SharedFile;

/// The bytes before the header: the length of the header and of the payload, each as a
/// 32-bit little-endian number.
pub const PREFIX: usize = 8;

/// The longest header, in bytes.
pub const MAX_HEADER: usize = 16 << 20;

/// The most bytes that one read brings.
const CHUNK: usize = 64 << 10;

/// A header, and what came with it.
#[derive(Debug, Default)]
pub struct WireFrame {
    /// JSON text.
    pub header: Vec<u8>,
    /// Empty if the message has no payload, or a shared one.
    pub payload: Bytes,
    /// The descriptor that came with the first byte.
    pub descriptor: Option<SharedFile>,
    /// Whether the read that brought the end of the frame has brought more.
    pub is_followed: bool,
}

/// Why a frame cannot be read. The stream cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A header must have at least 1 byte.
    #[error("a frame has no header")]
    NoHeader,
    /// The header is longer than [`MAX_HEADER`].
    #[error(
        "a frame has a header of {found} bytes, at most {MAX_HEADER} are allowed (over stdio, a program must print \
         nothing else to its standard output)"
    )]
    LongHeader {
        /// Bytes.
        found: usize,
    },
    /// The payload is longer than the reader allows.
    #[error("a frame has a payload of {found} bytes, at most {allowed} are allowed")]
    LongPayload {
        /// Bytes.
        found: usize,
        /// Bytes.
        allowed: usize,
    },
    /// The stream ended inside a frame.
    #[error("a frame is cut off")]
    CutOff,
    /// A descriptor came where none belongs, or more than one came.
    #[error("a frame came with a descriptor that does not belong there")]
    StrayDescriptor,
    /// The stream failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
}

/// What one read has brought.
#[derive(Debug)]
pub enum Progress {
    /// The rest of a frame.
    Frame(WireFrame),
    /// A part of a frame.
    Part,
    /// The stream ended between two frames.
    End,
}

/// Reads frames from a stream, in parts. One read can bring several frames.
#[derive(Debug)]
pub struct FrameDecoder {
    max_payload: usize,
    /// What the last read has brought, `unread` of it.
    buffer: Bytes,
    unread: Range<usize>,
    prefix: Vec<u8>,
    frame: WireFrame,
    /// The part of a payload that several reads bring.
    payload: Vec<u8>,
    header_len: usize,
    payload_len: usize,
    /// Whether the frame began in the last read.
    is_new: bool,
    /// Came with the last bytes of the last read.
    descriptor: Option<SharedFile>,
    /// The last read has brought all that was there.
    has_drained: bool,
}

/// What one read has brought.
pub(crate) struct Received {
    pub(crate) bytes: usize,
    pub(crate) descriptors: Vec<SharedFile>,
}

impl FrameDecoder {
    /// A decoder of frames whose payload has at most `max_payload` bytes.
    #[must_use]
    pub fn new(max_payload: usize) -> Self {
        Self {
            max_payload,
            buffer: Bytes::new(),
            unread: 0..0,
            prefix: Vec::with_capacity(PREFIX),
            frame: WireFrame::default(),
            payload: Vec::new(),
            header_len: 0,
            payload_len: 0,
            is_new: false,
            descriptor: None,
            has_drained: false,
        }
    }

    /// The next frame. If the last read has not brought it, reads once: `read` fills a part of
    /// the buffer, and returns how much, 0 at the end of the stream.
    ///
    /// # Errors
    ///
    /// `read` failed, or the bytes are not a frame.
    pub fn read_from(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> Result<Progress, FrameError> {
        self.receive_from(|buffer| {
            let bytes = read(buffer)?;
            let descriptors = Vec::new();
            Ok(Received { bytes, descriptors })
        })
    }

    /// As [`Self::read_from`], with descriptors.
    ///
    /// The kernel ends a read after the bytes that a descriptor came with. So it belongs to the
    /// last frame that began in the read.
    pub(crate) fn receive_from(
        &mut self,
        receive: impl FnOnce(&mut [u8]) -> io::Result<Received>,
    ) -> Result<Progress, FrameError> {
        if let Some(frame) = self.take_frame()? {
            return Ok(Progress::Frame(frame));
        }
        // A payload of the last read may still be in use.
        let buffer = std::mem::take(&mut self.buffer).try_into_mut();
        let mut buffer = buffer.unwrap_or_else(|_| BytesMut::zeroed(CHUNK));
        let received = receive(&mut buffer);
        self.buffer = buffer.freeze();
        // A read also ends with a descriptor.
        self.has_drained = received.as_ref().map_or(true, |read| {
            read.bytes < CHUNK && read.descriptors.is_empty()
        });
        let Received { bytes, descriptors } = received?;
        self.unread = 0..bytes.min(CHUNK);
        self.is_new = false;
        let mut descriptors = descriptors.into_iter();
        self.descriptor = descriptors.next();
        if descriptors.next().is_some() {
            return Err(FrameError::StrayDescriptor);
        }
        match self.take_frame()? {
            Some(frame) => Ok(Progress::Frame(frame)),
            None if bytes > 0 => Ok(Progress::Part),
            None if self.prefix.is_empty() => Ok(Progress::End),
            None => Err(FrameError::CutOff),
        }
    }

    /// Whether frames of the last read are left, or a part of one.
    pub(crate) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Whether the last read has brought all that was there.
    pub(crate) const fn has_drained(&self) -> bool {
        self.has_drained
    }

    fn take_frame(&mut self) -> Result<Option<WireFrame>, FrameError> {
        let mut rest = &self.buffer[self.unread.clone()];
        self.is_new |= self.prefix.is_empty() && !rest.is_empty();
        fill(&mut self.prefix, PREFIX, &mut rest);
        let mut is_whole = self.prefix.len() == PREFIX;
        if is_whole {
            if self.header_len == 0 {
                let lengths = read_lengths(&self.prefix, self.max_payload)?;
                (self.header_len, self.payload_len) = lengths;
            }
            fill(&mut self.frame.header, self.header_len, &mut rest);
            if self.payload.is_empty() && rest.len() >= self.payload_len {
                let start = self.unread.end - rest.len();
                self.frame.payload = self.buffer.slice(start..start + self.payload_len);
                rest = &rest[self.payload_len..];
            } else {
                fill(&mut self.payload, self.payload_len, &mut rest);
                if self.payload.len() == self.payload_len {
                    self.frame.payload = std::mem::take(&mut self.payload).into();
                }
            }
            is_whole = self.frame.header.len() == self.header_len
                && self.frame.payload.len() == self.payload_len;
        }
        self.unread.start = self.unread.end - rest.len();
        if self.unread.is_empty()
            && let Some(descriptor) = self.descriptor.take()
        {
            if !self.is_new {
                return Err(FrameError::StrayDescriptor);
            }
            self.frame.descriptor = Some(descriptor);
        }
        if !is_whole {
            return Ok(None);
        }
        self.prefix.clear();
        self.header_len = 0;
        self.frame.is_followed = !self.unread.is_empty();
        Ok(Some(std::mem::take(&mut self.frame)))
    }
}

/// The lengths of the header and of the payload.
fn read_lengths(prefix: &[u8], max_payload: usize) -> Result<(usize, usize), FrameError> {
    let length = |bytes: &[u8]| {
        let bytes = bytes.first_chunk().copied().unwrap_or_default();
        usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
    };
    let (header, payload) = (length(prefix), length(&prefix[4..]));
    if header == 0 {
        return Err(FrameError::NoHeader);
    }
    if header > MAX_HEADER {
        return Err(FrameError::LongHeader { found: header });
    }
    if payload > max_payload {
        return Err(FrameError::LongPayload {
            found: payload,
            allowed: max_payload,
        });
    }
    Ok((header, payload))
}

/// Extends a buffer towards its length.
fn fill(buffer: &mut Vec<u8>, len: usize, bytes: &mut &[u8]) {
    let missing = (len - buffer.len()).min(bytes.len());
    let (taken, rest) = bytes.split_at(missing);
    buffer.extend_from_slice(taken);
    *bytes = rest;
}

/// The prefix of a frame with a header and a payload of these lengths.
///
/// # Errors
///
/// A length is more than its limit.
pub(crate) fn prefix(header: usize, payload: usize) -> io::Result<[u8; PREFIX]> {
    let too_long = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    if header > MAX_HEADER {
        return Err(too_long("the header of a message is too long"));
    }
    let header = u32::try_from(header).unwrap_or_default();
    let payload = u32::try_from(payload)
        .map_err(|_| too_long("the payload of a message is longer than 4 GiB"))?;
    let mut prefix = [0; PREFIX];
    prefix[..4].copy_from_slice(&header.to_le_bytes());
    prefix[4..].copy_from_slice(&payload.to_le_bytes());
    Ok(prefix)
}

/// The bytes of a frame with an inline payload, for a stream without descriptors.
///
/// # Errors
///
/// The header is longer than [`MAX_HEADER`], or the payload longer than 4 GiB.
pub fn encode_frame(header: &[u8], payload: &[u8]) -> io::Result<Vec<u8>> {
    let prefix = prefix(header.len(), payload.len())?;
    Ok([&prefix, header, payload].concat())
}
