//! Frames over a Unix stream socket, which also carries descriptors.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use rustix::{
    cmsg_space,
    event::{PollFd, PollFlags, poll},
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recv, recvmsg, sendmsg,
    },
};
use serde::Serialize;

use crate::frame::{FrameDecoder, FrameError, PREFIX, Progress, Received, prefix};

/// How many descriptors are looked at: one more than a frame may have.
const MAX_DESCRIPTORS: usize = 2;

/// The payload of a frame that is sent.
#[derive(Debug, Clone, Copy)]
pub enum FramePayload<'a> {
    /// The message has none.
    None,
    /// The bytes follow the header.
    Inline(&'a [u8]),
    /// A descriptor goes with the first byte.
    Shared(BorrowedFd<'a>),
}

/// Payloads in the buffer of a reader begin at a multiple of this.
const ALIGNMENT: usize = 8;

/// Reads frames from a socket.
#[derive(Debug)]
pub struct FrameReader {
    socket: Arc<OwnedFd>,
    decoder: FrameDecoder,
}

/// Writes frames to a socket, one at a time.
#[derive(Debug)]
pub struct FrameWriter {
    socket: Arc<OwnedFd>,
    header: Vec<u8>,
}

/// Writes frames to a socket, and does not wait for the other side.
#[derive(Debug)]
pub struct FrameSender {
    socket: Arc<OwnedFd>,
    header: Vec<u8>,
    unsent: VecDeque<UnsentFrame>,
}

/// The rest of a frame.
#[derive(Debug)]
struct UnsentFrame {
    bytes: Vec<u8>,
    /// Goes with the first byte.
    descriptor: Option<OwnedFd>,
}

/// A frame that is sent.
struct FrameParts<'a> {
    prefix: [u8; PREFIX],
    header: &'a [u8],
    payload: &'a [u8],
    descriptor: Option<BorrowedFd<'a>>,
}

/// Whether the other side has sent something that was not read, or has closed the connection.
#[must_use]
pub fn is_readable(socket: impl AsFd) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    // After an interruption, the caller asks again.
    recv(socket, &mut [0_u8; 1], flags).is_ok()
}

impl FrameReader {
    /// A reader of frames whose payload has at most `max_payload` bytes.
    #[must_use]
    pub fn new(socket: Arc<OwnedFd>, max_payload: usize) -> Self {
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
                    self.wait()?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until something is there. A read that waits would also be woken each time the
    /// other side takes something.
    fn wait(&self) -> io::Result<()> {
        let mut waited = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut waited, None) {
            // After an interruption, the caller asks again.
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
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

    /// Whether all that was there at the last read is read and taken.
    #[must_use]
    pub fn has_taken_all(&self) -> bool {
        self.decoder.has_taken_all()
    }

    fn receive(&mut self) -> Result<Progress, FrameError> {
        let socket = &self.socket;
        self.decoder.receive_from(|buffer| {
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let mut buffers = [IoSliceMut::new(buffer)];
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            let bytes = recvmsg(socket, &mut buffers, &mut ancillary, flags)?.bytes;
            let mut descriptors = Vec::new();
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    descriptors.extend(rights);
                }
            }
            Ok(Received { bytes, descriptors })
        })
    }
}

impl FrameWriter {
    /// A writer to this socket.
    #[must_use]
    pub fn new(socket: Arc<OwnedFd>) -> Self {
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
            SendFlags::empty(),
        )
        .map(drop)
    }
}

impl FrameSender {
    /// A sender to this socket.
    #[must_use]
    pub fn new(socket: Arc<OwnedFd>) -> Self {
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
                SendFlags::DONTWAIT,
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
            let descriptor = frame.descriptor.as_ref().map(AsFd::as_fd);
            let sent = send_parts(&self.socket, parts, descriptor, SendFlags::DONTWAIT)?;
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
    socket: &OwnedFd,
    parts: [&[u8]; 3],
    mut descriptor: Option<BorrowedFd<'_>>,
    flags: SendFlags,
) -> io::Result<usize> {
    let mut slices = parts.map(IoSlice::new);
    let mut slices = &mut slices[..];
    let mut all = 0;
    while !slices.is_empty() {
        match send_some(socket, slices, descriptor, flags) {
            Ok(sent) => {
                descriptor = None;
                all += sent;
                IoSlice::advance_slices(&mut slices, sent);
                // Empty slices at the end are left otherwise.
                while slices.first().is_some_and(|slice| slice.is_empty()) {
                    slices = &mut slices[1..];
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if flags.contains(SendFlags::DONTWAIT) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(all)
}

fn send_some(
    socket: &OwnedFd,
    slices: &[IoSlice<'_>],
    descriptor: Option<BorrowedFd<'_>>,
    flags: SendFlags,
) -> rustix::io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptor = descriptor.map(|descriptor| [descriptor]);
    if let Some(descriptor) = &descriptor {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptor));
    }
    sendmsg(socket, slices, &mut ancillary, flags | SendFlags::NOSIGNAL)
}
