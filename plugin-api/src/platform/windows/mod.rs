//! Windows.

#[cfg(feature = "files")]
pub(super) mod files;
#[cfg(feature = "connections")]
pub(super) mod ports;
#[cfg(feature = "testkit")]
pub(super) mod testkit;
