//! Frames over the socket of a connection, which also carries descriptors.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::Arc,
};

use serde::Serialize;

use crate::{
    frame::{FrameDecoder, FrameError, PREFIX, Progress, prefix},
    platform::{self, BorrowedFile, FrameSocket, SendMode, SharedFile, borrow},
};

/// The payload of a frame that is sent.
#[derive(Debug, Clone, Copy)]
pub enum FramePayload<'a> {
    /// The message has none.
    None,
    /// The bytes follow the header.
    Inline(&'a [u8]),
    /// A descriptor goes with the first byte.
    Shared(BorrowedFile<'a>),
}

/// Payloads in the buffer of a reader begin at a multiple of this.
const ALIGNMENT: usize = 8;

/// Reads frames from a socket.
#[derive(Debug)]
pub struct FrameReader {
    socket: Arc<FrameSocket>,
    decoder: FrameDecoder,
}

/// Writes frames to a socket, one at a time.
#[derive(Debug)]
pub struct FrameWriter {
    socket: Arc<FrameSocket>,
    header: Vec<u8>,
}

/// Writes frames to a socket, and does not wait for the other side.
#[derive(Debug)]
pub struct FrameSender {
    socket: Arc<FrameSocket>,
    header: Vec<u8>,
    unsent: VecDeque<UnsentFrame>,
}

/// The rest of a frame.
#[derive(Debug)]
struct UnsentFrame {
    bytes: Vec<u8>,
    /// Goes with the first byte.
    descriptor: Option<SharedFile>,
}

/// A frame that is sent.
struct FrameParts<'a> {
    prefix: [u8; PREFIX],
    header: &'a [u8],
    payload: &'a [u8],
    descriptor: Option<BorrowedFile<'a>>,
}

/// Whether the other side has sent something that was not read, or has closed the connection.
#[must_use]
pub fn is_readable(socket: &FrameSocket) -> bool {
    platform::is_readable(socket)
}

impl FrameReader {
    /// A reader of frames whose payload has at most `max_payload` bytes.
    #[must_use]
    pub fn new(socket: Arc<FrameSocket>, max_payload: usize) -> Self {
        Self {
            socket,
            decoder: FrameDecoder::new(max_payload),
        }
    }

    /// Waits for the next frame; `None` if the other side has closed the connection.
    ///
    /// # Errors
    ///
    /// The connection failed, or the bytes are not a frame.
    pub fn read(&mut self) -> Result<Option<crate::WireFrame>, FrameError> {
        loop {
            match self.try_read() {
                Ok(Progress::Frame(frame)) => return Ok(Some(frame)),
                Ok(Progress::Part) => {}
                Ok(Progress::End) => return Ok(None),
                Err(FrameError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    platform::wait_until_readable(&self.socket)?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The next frame, if it is there. Reads at most once, and does not wait. `Part` if a frame
    /// is not complete yet.
    ///
    /// # Errors
    ///
    /// The connection failed, or the bytes are not a frame. If nothing is there, the error of
    /// the connection is `WouldBlock`.
    pub fn try_read(&mut self) -> Result<Progress, FrameError> {
        loop {
            match self.receive() {
                Err(FrameError::Io(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// Whether frames of the last read are left, or a part of one: the next call of [`Self::try_read`] takes them, and does not
    /// read.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        self.decoder.has_unread()
    }

    /// Whether the last read has brought all that was there.
    #[must_use]
    pub const fn has_drained(&self) -> bool {
        self.decoder.has_drained()
    }

    fn receive(&mut self) -> Result<Progress, FrameError> {
        let socket = &self.socket;
        self.decoder
            .receive_from(|buffer| platform::receive(socket, buffer))
    }
}

impl FrameWriter {
    /// A writer to this socket.
    #[must_use]
    pub fn new(socket: Arc<FrameSocket>) -> Self {
        let header = Vec::new();
        Self { socket, header }
    }

    /// Sends a message. Blocks while the other side does not read.
    ///
    /// # Errors
    ///
    /// The other side has closed the connection, or the message is too long.
    pub fn send(&mut self, header: &impl Serialize, payload: FramePayload<'_>) -> io::Result<()> {
        let parts = FrameParts::new(header, &mut self.header, payload)?;
        send_parts(
            &self.socket,
            parts.bytes(),
            parts.descriptor,
            SendMode::Wait,
        )
        .map(drop)
    }
}

impl FrameSender {
    /// A sender to this socket.
    #[must_use]
    pub fn new(socket: Arc<FrameSocket>) -> Self {
        Self {
            socket,
            header: Vec::new(),
            unsent: VecDeque::new(),
        }
    }

    /// Sends a message as far as the other side takes it now, and keeps the rest.
    ///
    /// # Errors
    ///
    /// The other side has closed the connection, or the message is too long.
    pub fn send(&mut self, header: &impl Serialize, payload: FramePayload<'_>) -> io::Result<()> {
        let parts = FrameParts::new(header, &mut self.header, payload)?;
        let mut sent = 0;
        if self.unsent.is_empty() {
            sent = send_parts(
                &self.socket,
                parts.bytes(),
                parts.descriptor,
                SendMode::DoNotWait,
            )?;
        }
        if sent < parts.len() {
            // The descriptor has gone with the first byte.
            let descriptor = parts.descriptor.filter(|_| sent == 0);
            self.unsent.push_back(UnsentFrame {
                bytes: parts.bytes().concat().split_off(sent),
                descriptor: descriptor.map(|fd| fd.try_clone_to_owned()).transpose()?,
            });
        }
        Ok(())
    }

    /// Whether something waits until the other side reads.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Sends what is left, as far as the other side takes it now.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: not all of it. Otherwise as [`Self::send`].
    pub fn try_send_rest(&mut self) -> io::Result<()> {
        while let Some(frame) = self.unsent.front_mut() {
            let parts = [&frame.bytes[..], &[], &[]];
            let descriptor = frame.descriptor.as_ref().map(borrow);
            let sent = send_parts(&self.socket, parts, descriptor, SendMode::DoNotWait)?;
            if sent > 0 {
                frame.descriptor = None;
            }
            frame.bytes.drain(..sent);
            if !frame.bytes.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.unsent.pop_front();
        }
        Ok(())
    }
}

impl<'a> FrameParts<'a> {
    /// `buffer` is for the header.
    fn new(
        header: &impl Serialize,
        buffer: &'a mut Vec<u8>,
        payload: FramePayload<'a>,
    ) -> io::Result<Self> {
        buffer.clear();
        serde_json::to_writer(&mut *buffer, header)?;
        let (payload, descriptor) = match payload {
            FramePayload::None => (&[][..], None),
            FramePayload::Inline(bytes) => (bytes, None),
            FramePayload::Shared(descriptor) => (&[][..], Some(descriptor)),
        };
        while !payload.is_empty() && !(PREFIX + buffer.len()).is_multiple_of(ALIGNMENT) {
            buffer.push(b' ');
        }
        Ok(Self {
            prefix: prefix(buffer.len(), payload.len())?,
            header: buffer,
            payload,
            descriptor,
        })
    }

    fn bytes(&self) -> [&[u8]; 3] {
        [&self.prefix, self.header, self.payload]
    }

    fn len(&self) -> usize {
        self.bytes().iter().map(|part| part.len()).sum()
    }
}

/// Sends bytes, with the descriptor if it is not `None`. Returns how many were sent: fewer only
/// with `DONTWAIT`, if the other side does not take more now.
fn send_parts(
    socket: &FrameSocket,
    parts: [&[u8]; 3],
    mut descriptor: Option<BorrowedFile<'_>>,
    mode: SendMode,
) -> io::Result<usize> {
    let mut slices = parts.map(IoSlice::new);
    let mut slices = &mut slices[..];
    let mut all = 0;
    while !slices.is_empty() {
        match platform::send(socket, slices, descriptor, mode) {
            Ok(sent) => {
                descriptor = None;
                all += sent;
                IoSlice::advance_slices(&mut slices, sent);
                // Empty slices at the end are left otherwise.
                while slices.first().is_some_and(|slice| slice.is_empty()) {
                    slices = &mut slices[1..];
                }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock if mode == SendMode::DoNotWait => break,
                _ => return Err(error),
            },
        }
    }
    Ok(all)
}
