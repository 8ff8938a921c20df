//! Descriptors that a task waits for.

#![expect(
    unsafe_code,
    reason = "tokio cannot know that the descriptor stays open"
)]

use std::{io, os::fd::OwnedFd, sync::Arc};

use tokio::io::{Interest, unix::AsyncFd};

pub(super) type WatchedFd = AsyncFd<Arc<OwnedFd>>;

/// How much of what was there was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadProgress {
    All,
    Part,
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
