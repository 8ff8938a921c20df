//! Drivers that are plugins: each storage has a process of its own, which speaks the protocol.
//!
//! Promises: a driver that hangs is ended at the deadline of its call, and one that ends is
//! started again after a pause; no batch of a process is used before every row was checked.

mod answer;
mod described;
mod instance;
mod payload;
mod plugins;
mod process;
mod requests;

pub(super) use plugins::{DriverModel, DriverSource};
pub use plugins::{Drivers, FoundDrivers};
