//! What differs between operating systems. There is one folder for each.

mod unix;

use unix as system;

#[cfg(feature = "files")]
pub(crate) use system::files::{let_group_read, rename, sync_folder};
#[cfg(feature = "connections")]
pub(crate) use system::ports::own_ports;
#[cfg(feature = "testkit")]
pub(crate) use system::testkit::make_trusted;
