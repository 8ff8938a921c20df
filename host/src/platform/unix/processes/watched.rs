//! Descriptors that a task waits for.

#![expect(
    unsafe_code,
    reason = "tokio cannot know that the descriptor stays open"
)]

use std::{io, os::fd::OwnedFd, sync::Arc};

use delfin_plugin_protocol::FrameSocket;
use tokio::io::{Interest, unix::AsyncFd};

pub(super) type WatchedFd = AsyncFd<Arc<OwnedFd>>;

/// A socket that a task waits for.
pub(crate) struct WatchedSocket(WatchedFd);

impl WatchedSocket {
    /// # Errors
    ///
    /// The system cannot watch more descriptors.
    pub(crate) fn new(socket: Arc<FrameSocket>, interest: Interest) -> io::Result<Self> {
        watch(socket, interest).map(Self)
    }

    /// Waits until something can be read. An error is found by the next read.
    pub(crate) async fn readable(&self) {
        let _ = self.0.readable().await;
    }

    /// Waits until something can be written.
    pub(crate) async fn writable(&self) {
        let _ = self.0.writable().await;
    }

    /// Reads or writes. After the error `WouldBlock`, the next wait is for something new.
    pub(crate) fn try_io<T>(
        &self,
        interest: Interest,
        io: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        self.0.try_io(interest, |_| io())
    }
}

/// # Errors
///
/// The system cannot watch more descriptors.
pub(super) fn watch(descriptor: Arc<OwnedFd>, interest: Interest) -> io::Result<WatchedFd> {
    // SAFETY: the watch owns the descriptor together with others, so it stays open as long as
    // the watch, and an `OwnedFd` in an `Arc` never changes its number.
    let watched = unsafe { AsyncFd::register_with_interest(descriptor, interest) };
    Ok(watched?)
}
