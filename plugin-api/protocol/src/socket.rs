//! Frames over a Unix stream socket, which also carries descriptors.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use rustix::{
    cmsg_space,
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recv, recvmsg, sendmsg,
    },
};
use serde::Serialize;

use crate::{
    frame::{FrameDecoder, FrameError, Progress, prefix},
    shared::SharedPayload,
};

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
    Shared(&'a SharedPayload),
}

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
            match self.receive(RecvFlags::CMSG_CLOEXEC) {
                Ok(Progress::Frame(frame)) => return Ok(Some(frame)),
                Ok(Progress::Part) => {}
                Ok(Progress::End) => return Ok(None),
                Err(FrameError::Io(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads what is there, and does not wait. `Part` if a frame is not complete yet.
    ///
    /// # Errors
    ///
    /// The connection failed, or the bytes are not a frame.
    pub fn try_read(&mut self) -> Result<Progress, FrameError> {
        loop {
            match self.receive(RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT) {
                Ok(Progress::Part) => {}
                Err(FrameError::Io(error)) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return Ok(Progress::Part),
                    _ => return Err(FrameError::Io(error)),
                },
                other => return other,
            }
        }
    }

    fn receive(&mut self, flags: RecvFlags) -> Result<Progress, FrameError> {
        let is_first = self.decoder.is_between_frames();
        let socket = &self.socket;
        let mut descriptors = Vec::new();
        let progress = self.decoder.read_from(|buffers| {
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let received = recvmsg(socket, buffers, &mut ancillary, flags)?;
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    descriptors.extend(rights);
                }
            }
            Ok(received.bytes)
        })?;
        let mut descriptors = descriptors.into_iter();
        match (descriptors.next(), descriptors.next()) {
            (None, _) => Ok(progress),
            // One byte is never a whole frame, so the frame is still being read.
            (Some(descriptor), None) if is_first => {
                self.decoder.set_descriptor(descriptor);
                Ok(progress)
            }
            (Some(_), _) => Err(FrameError::StrayDescriptor),
        }
    }
}

impl FrameWriter {
    /// A writer to this socket.
    #[must_use]
    pub fn new(socket: Arc<OwnedFd>) -> Self {
        Self { socket }
    }

    /// Sends a message. Blocks while the other side does not read, unless the socket has
    /// a timeout.
    ///
    /// # Errors
    ///
    /// The other side has closed the connection, the timeout has passed, or the message is
    /// too long.
    pub fn send(&mut self, header: &impl Serialize, payload: FramePayload<'_>) -> io::Result<()> {
        let header = serde_json::to_vec(header)?;
        let (bytes, descriptor) = match payload {
            FramePayload::None => (&[][..], None),
            FramePayload::Inline(bytes) => (bytes, None),
            FramePayload::Shared(shared) => (&[][..], Some(shared.as_fd())),
        };
        let prefix = prefix(header.len(), bytes.len())?;
        self.send_all([&prefix, &header, bytes], descriptor)
    }

    fn send_all(
        &self,
        parts: [&[u8]; 3],
        mut descriptor: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let mut slices = parts.map(IoSlice::new);
        let mut slices = &mut slices[..];
        while !slices.is_empty() {
            match self.send_some(slices, descriptor) {
                Ok(sent) => {
                    descriptor = None;
                    IoSlice::advance_slices(&mut slices, sent);
                    // Empty slices at the end are left otherwise.
                    while slices.first().is_some_and(|slice| slice.is_empty()) {
                        slices = &mut slices[1..];
                    }
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn send_some(
        &self,
        slices: &[IoSlice<'_>],
        descriptor: Option<BorrowedFd<'_>>,
    ) -> rustix::io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptor = descriptor.map(|descriptor| [descriptor]);
        if let Some(descriptor) = &descriptor {
            ancillary.push(SendAncillaryMessage::ScmRights(descriptor));
        }
        sendmsg(&self.socket, slices, &mut ancillary, SendFlags::NOSIGNAL)
    }
}
