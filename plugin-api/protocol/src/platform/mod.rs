//! What differs between operating systems: the socket of a connection, and files that two processes map.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

pub use system::{
    BorrowedFile, CAN_SHARE_FILES, FrameSocket, Mapping, SharedFile, close_sending, into_number,
    into_stdio, socket_from_number, socket_pair,
};
pub(crate) use system::{
    borrow, has_seals, is_readable, length_of, new_file, receive, seal, send, wait_until_readable,
};

/// What other processes cannot do with a file any more.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FileSeals {
    /// Change anything.
    All,
    /// Change the length, and write, unless they have mapped the file for writing before.
    NewWriters,
}

/// What a mapping is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MappingAccess {
    Read,
    Write,
}

/// Whether a send waits until the other side reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendMode {
    Wait,
    /// The error is `WouldBlock`.
    DoNotWait,
}
