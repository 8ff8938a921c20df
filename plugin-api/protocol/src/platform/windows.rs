//! Windows: a connection over the loopback address. Frames carry no files, so payloads are inline.

#![expect(unsafe_code, reason = "a socket is handed over by its number")]

use std::{
    convert::Infallible,
    ffi::CStr,
    fs::File,
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    os::windows::io::{
        AsHandle, AsSocket, BorrowedHandle, FromRawSocket, IntoRawSocket, OwnedHandle, RawSocket,
    },
    process::Stdio,
    ptr::NonNull,
};

use rustix::event::{PollFd, PollFlags, poll};

use super::{FileSeals, MappingAccess, SendMode};
use crate::frame::Received;

/// How many connections of other programs a new pair refuses.
const MAX_STRANGERS: u32 = 16;

/// One end of a connection, which does not block.
pub type FrameSocket = TcpStream;

/// A file that processes share.
pub type SharedFile = OwnedHandle;

/// A borrowed [`SharedFile`].
pub type BorrowedFile<'a> = BorrowedHandle<'a>;

/// Whether a frame can carry a file.
pub const CAN_SHARE_FILES: bool = false;

/// Two connected sockets.
///
/// # Errors
///
/// No socket is left, or another program connects all the time.
pub fn socket_pair() -> io::Result<(FrameSocket, FrameSocket)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let one = TcpStream::connect(listener.local_addr()?)?;
    for _ in 0..MAX_STRANGERS {
        let (other, address) = listener.accept()?;
        // Every program of this machine can connect to the listener.
        if address == one.local_addr()? {
            for socket in [&one, &other] {
                socket.set_nodelay(true)?;
                socket.set_nonblocking(true)?;
            }
            return Ok((one, other));
        }
    }
    Err(io::Error::other("other programs connect to its listener"))
}

/// The socket as a standard stream of a process.
///
/// # Errors
///
/// The system cannot do this.
pub fn into_stdio(_: FrameSocket) -> io::Result<Stdio> {
    Err(io::Error::new(
        ErrorKind::Unsupported,
        "a program cannot have a socket as its standard input on this system",
    ))
}

/// Hands over a socket by its number. See [`socket_from_number`].
#[must_use]
pub fn into_number(socket: FrameSocket) -> i32 {
    // Of a handle, 32 bits are in use.
    socket.into_raw_socket() as i32
}

/// Takes over a socket. An error is its reason.
///
/// # Errors
///
/// The number cannot be that of a socket.
///
/// # Safety
///
/// The number is that of an open socket that no one else owns.
pub unsafe fn socket_from_number(number: i32) -> Result<FrameSocket, String> {
    if number < 0 {
        return Err(format!("{number} is not a socket"));
    }
    // SAFETY: the caller hands over the socket.
    Ok(unsafe { TcpStream::from_raw_socket(number as RawSocket) })
}

/// Tells the other side that nothing more comes.
///
/// # Errors
///
/// The connection is closed.
pub fn close_sending(socket: &FrameSocket) -> io::Result<()> {
    socket.shutdown(Shutdown::Write)
}

pub(crate) fn borrow(file: &SharedFile) -> BorrowedFile<'_> {
    file.as_handle()
}

/// Whether the other side has sent something that was not read, or has closed the connection.
pub(crate) fn is_readable(socket: &FrameSocket) -> bool {
    socket.peek(&mut [0; 1]).is_ok()
}

/// Waits until something is there.
pub(crate) fn wait_until_readable(socket: &FrameSocket) -> io::Result<()> {
    wait(socket, PollFlags::IN)
}

fn wait(socket: &FrameSocket, flags: PollFlags) -> io::Result<()> {
    let socket = socket.as_socket();
    poll(&mut [PollFd::from_borrowed_fd(socket, flags)], None)?;
    Ok(())
}

/// Reads what is there. Does not wait.
pub(crate) fn receive(mut socket: &FrameSocket, buffer: &mut [u8]) -> io::Result<Received> {
    Ok(Received {
        bytes: socket.read(buffer)?,
        descriptors: Vec::new(),
    })
}

/// Sends some bytes. Returns how many were sent.
pub(crate) fn send(
    mut socket: &FrameSocket,
    slices: &[IoSlice<'_>],
    file: Option<BorrowedFile<'_>>,
    mode: SendMode,
) -> io::Result<usize> {
    if file.is_some() {
        return Err(unsupported());
    }
    loop {
        match socket.write_vectored(slices) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && mode == SendMode::Wait => {
                wait(socket, PollFlags::OUT)?;
            }
            sent => return sent,
        }
    }
}

/// No file: see [`CAN_SHARE_FILES`].
pub(crate) fn new_file(_: &CStr) -> io::Result<File> {
    Err(unsupported())
}

pub(crate) fn seal(_: &File, _: FileSeals) -> io::Result<()> {
    Err(unsupported())
}

pub(crate) fn has_seals(_: &SharedFile, _: FileSeals) -> bool {
    false
}

pub(crate) fn length_of(_: &SharedFile) -> io::Result<u64> {
    Err(unsupported())
}

/// A mapped file: see [`CAN_SHARE_FILES`].
#[derive(Debug)]
pub struct Mapping(Infallible);

impl Mapping {
    pub(crate) fn new(_: impl AsHandle, _: usize, _: MappingAccess) -> io::Result<Self> {
        Err(unsupported())
    }

    pub(crate) fn parts(&self) -> (NonNull<u8>, usize) {
        match self.0 {}
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        match self.0 {}
    }
}

fn unsupported() -> io::Error {
    io::Error::new(
        ErrorKind::Unsupported,
        "processes share no files on this system",
    )
}
