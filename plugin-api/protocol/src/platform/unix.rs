//! Unix: a stream socket, which also carries descriptors of sealed anonymous files.

#![expect(
    unsafe_code,
    reason = "the compiler cannot know that a mapped file does not change"
)]

use std::{
    ffi::{CStr, c_void},
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::Stdio,
    ptr::{self, NonNull},
    slice,
};

use rustix::{
    cmsg_space,
    event::{PollFd, PollFlags, poll},
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create},
    io::Errno,
    mm::{MapFlags, ProtFlags, mmap, munmap},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, Shutdown, recv, recvmsg, sendmsg, shutdown,
    },
};

use super::{FileSeals, MappingAccess, SendMode};
use crate::frame::Received;

/// How many descriptors are looked at: one more than a frame may have.
const MAX_DESCRIPTORS: usize = 2;

/// One end of a connection.
pub type FrameSocket = OwnedFd;

/// A file that processes share.
pub type SharedFile = OwnedFd;

/// A borrowed [`SharedFile`].
pub type BorrowedFile<'a> = BorrowedFd<'a>;

/// Whether a frame can carry a file.
pub const CAN_SHARE_FILES: bool = true;

/// Two connected sockets.
///
/// # Errors
///
/// No descriptor is left.
pub fn socket_pair() -> io::Result<(FrameSocket, FrameSocket)> {
    let (one, other) = UnixStream::pair()?;
    Ok((one.into(), other.into()))
}

/// The socket as a standard stream of a process.
///
/// # Errors
///
/// The system cannot do this.
pub fn into_stdio(socket: FrameSocket) -> io::Result<Stdio> {
    Ok(socket.into())
}

/// Hands over a socket by its number. See [`socket_from_number`].
#[must_use]
pub fn into_number(socket: FrameSocket) -> i32 {
    socket.into_raw_fd()
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
        return Err(format!("{number} is not a descriptor"));
    }
    // SAFETY: the caller hands over the descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Tells the other side that nothing more comes.
///
/// # Errors
///
/// The connection is closed.
pub fn close_sending(socket: &FrameSocket) -> io::Result<()> {
    Ok(shutdown(socket, Shutdown::Write)?)
}

pub(crate) fn borrow(file: &SharedFile) -> BorrowedFile<'_> {
    file.as_fd()
}

/// Whether the other side has sent something that was not read, or has closed the connection.
pub(crate) fn is_readable(socket: &FrameSocket) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    // After an interruption, the caller asks again.
    recv(socket, &mut [0_u8; 1], flags).is_ok()
}

/// Waits until something is there. A read that waits would also be woken each time the
/// other side takes something.
pub(crate) fn wait_until_readable(socket: &FrameSocket) -> io::Result<()> {
    let mut waited = [PollFd::new(socket, PollFlags::IN)];
    match poll(&mut waited, None) {
        // After an interruption, the caller asks again.
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reads what is there, with the files that came with it. Does not wait.
pub(crate) fn receive(socket: &FrameSocket, buffer: &mut [u8]) -> io::Result<Received> {
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
}

/// Sends some bytes, and the file with the first one. Returns how many were sent.
pub(crate) fn send(
    socket: &FrameSocket,
    slices: &[IoSlice<'_>],
    file: Option<BorrowedFile<'_>>,
    mode: SendMode,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptor = file.map(|descriptor| [descriptor]);
    if let Some(descriptor) = &descriptor {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptor));
    }
    let flags = match mode {
        SendMode::Wait => SendFlags::NOSIGNAL,
        SendMode::DoNotWait => SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    };
    Ok(sendmsg(socket, slices, &mut ancillary, flags)?)
}

/// Creates a file without a path, and without content. Tools show the name.
pub(crate) fn new_file(name: &CStr) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(File::from(memfd_create(name, flags)?))
}

pub(crate) fn seal(file: &File, seals: FileSeals) -> io::Result<()> {
    Ok(fcntl_add_seals(file, flags(seals))?)
}

pub(crate) fn has_seals(file: &SharedFile, seals: FileSeals) -> bool {
    fcntl_get_seals(file).is_ok_and(|found| found.contains(flags(seals)))
}

fn flags(seals: FileSeals) -> SealFlags {
    let writes = match seals {
        FileSeals::All => SealFlags::WRITE,
        FileSeals::NewWriters => SealFlags::FUTURE_WRITE,
    };
    writes | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL
}

pub(crate) fn length_of(file: &SharedFile) -> io::Result<u64> {
    Ok(u64::try_from(fstat(file)?.st_size).unwrap_or_default())
}

/// A mapped file; unmapped when it is dropped.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// Maps the first `len` bytes of a file, which cannot become shorter.
    pub(crate) fn new(file: impl AsFd, len: usize, access: MappingAccess) -> io::Result<Self> {
        if len == 0 {
            return Ok(Self {
                start: NonNull::dangling(),
                len,
            });
        }
        let access = match access {
            MappingAccess::Read => ProtFlags::READ,
            MappingAccess::Write => ProtFlags::READ | ProtFlags::WRITE,
        };
        // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing.
        let start = unsafe { mmap(ptr::null_mut(), len, access, MapFlags::SHARED, file, 0) };
        let start = NonNull::new(start?.cast::<u8>());
        let start = start.ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { start, len })
    }

    /// Where it begins, and its bytes.
    pub(crate) fn parts(&self) -> (NonNull<u8>, usize) {
        (self.start, self.len)
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `start` is dangling for 0 bytes, or a mapping of `len` readable bytes that
        // lives as long as `self`. No process can shorten the file. No process can write one that
        // is sealed against that, and the owner of another one writes it only when no process reads it.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.len == 0 {
            return;
        }
        let start = self.start.as_ptr().cast::<c_void>();
        // SAFETY: the mapping is `self`'s own, and no reference into it outlives `self`.
        let unmapped = unsafe { munmap(start, self.len) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}

// SAFETY: the mapping belongs to the process, not to a thread.
unsafe impl Send for Mapping {}

// SAFETY: through a shared reference, the content is only read.
unsafe impl Sync for Mapping {}
