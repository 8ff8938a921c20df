//! Frames on a stream of bytes: two lengths, a header, a payload.
//!
//! Promises: a length that is too large is an error before anything is allocated for it,
//! and a buffer grows only with the bytes that have arrived.

use std::{
    io::{self, IoSliceMut},
    os::fd::OwnedFd,
};

/// The bytes before the header: the length of the header and of the payload, each as a
/// 32-bit little-endian number.
pub const PREFIX: usize = 8;

/// The longest header, in bytes.
pub const MAX_HEADER: usize = 16 << 20;

/// The most bytes that one read asks for.
const CHUNK: usize = 64 << 10;

/// A header, and what came with it.
#[derive(Debug, Default)]
pub struct WireFrame {
    /// JSON text.
    pub header: Vec<u8>,
    /// Empty if the message has no payload, or a shared one.
    pub payload: Vec<u8>,
    /// The descriptor that came with the first byte.
    pub descriptor: Option<OwnedFd>,
}

/// Why a frame cannot be read. The stream cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A header must have at least 1 byte.
    #[error("a frame has no header")]
    NoHeader,
    /// The header is longer than [`MAX_HEADER`].
    #[error("a frame has a header of {found} bytes, at most {MAX_HEADER} are allowed")]
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

/// Reads frames from a stream, in parts. It never reads past the end of a frame.
#[derive(Debug)]
pub struct FrameDecoder {
    max_payload: usize,
    prefix: Vec<u8>,
    frame: WireFrame,
    header_len: usize,
    payload_len: usize,
}

impl FrameDecoder {
    /// A decoder of frames whose payload has at most `max_payload` bytes.
    #[must_use]
    pub fn new(max_payload: usize) -> Self {
        Self {
            max_payload,
            prefix: Vec::with_capacity(PREFIX),
            frame: WireFrame::default(),
            header_len: 0,
            payload_len: 0,
        }
    }

    /// Whether the next byte is the first one of a frame.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.prefix.is_empty()
    }

    /// Reads once: `read` fills a part of the buffers, one after the other, and returns how
    /// much, 0 at the end of the stream.
    ///
    /// # Errors
    ///
    /// `read` failed, or the bytes are not a frame.
    pub fn read_from(
        &mut self,
        read: impl FnOnce(&mut [IoSliceMut<'_>]) -> io::Result<usize>,
    ) -> Result<Progress, FrameError> {
        let found = if self.prefix.len() < PREFIX {
            fill([(&mut self.prefix, PREFIX), (&mut Vec::new(), 0)], read)?
        } else {
            let WireFrame {
                header, payload, ..
            } = &mut self.frame;
            let parts = [(header, self.header_len), (payload, self.payload_len)];
            fill(parts, read)?
        };
        if found == 0 {
            return if self.is_between_frames() {
                Ok(Progress::End)
            } else {
                Err(FrameError::CutOff)
            };
        }
        if self.prefix.len() == PREFIX && self.header_len == 0 {
            self.read_lengths()?;
        }
        let is_whole = self.prefix.len() == PREFIX
            && self.frame.header.len() == self.header_len
            && self.frame.payload.len() == self.payload_len;
        if !is_whole {
            return Ok(Progress::Part);
        }
        self.prefix.clear();
        self.header_len = 0;
        Ok(Progress::Frame(std::mem::take(&mut self.frame)))
    }

    pub(crate) fn set_descriptor(&mut self, descriptor: OwnedFd) {
        self.frame.descriptor = Some(descriptor);
    }

    fn read_lengths(&mut self) -> Result<(), FrameError> {
        let length = |bytes: &[u8]| {
            let bytes = bytes.first_chunk().copied().unwrap_or_default();
            usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
        };
        let (header, payload) = (length(&self.prefix), length(&self.prefix[4..]));
        if header == 0 {
            return Err(FrameError::NoHeader);
        }
        if header > MAX_HEADER {
            return Err(FrameError::LongHeader { found: header });
        }
        if payload > self.max_payload {
            return Err(FrameError::LongPayload {
                found: payload,
                allowed: self.max_payload,
            });
        }
        (self.header_len, self.payload_len) = (header, payload);
        Ok(())
    }
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

/// Extends two buffers, one after the other, towards their lengths by one read.
fn fill(
    parts: [(&mut Vec<u8>, usize); 2],
    read: impl FnOnce(&mut [IoSliceMut<'_>]) -> io::Result<usize>,
) -> io::Result<usize> {
    let [(first, first_len), (second, second_len)] = parts;
    let present = [first.len(), second.len()];
    first.resize(first_len.min(present[0] + CHUNK), 0);
    let room = CHUNK - (first.len() - present[0]);
    if first.len() == first_len {
        second.resize(second_len.min(present[1] + room), 0);
    }
    let [(_, one), (_, other)] = [
        first.split_at_mut(present[0]),
        second.split_at_mut(present[1]),
    ];
    let one_len = one.len();
    let read = read(&mut [IoSliceMut::new(one), IoSliceMut::new(other)]);
    let found = read.as_ref().map_or(0, |&found| found);
    first.truncate(present[0] + found.min(one_len));
    second.truncate(present[1] + found.saturating_sub(one_len));
    read
}
