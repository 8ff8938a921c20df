//! What differs between operating systems. Each system has a folder with the same items.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

#[cfg(feature = "files")]
pub(crate) use system::files::{let_group_read, rename, sync_folder};
#[cfg(feature = "connections")]
pub(crate) use system::ports::own_ports;
#[cfg(feature = "testkit")]
pub(crate) use system::testkit::make_trusted;
