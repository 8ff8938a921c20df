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
mod processes;
mod requests;
mod sources;

pub use plugins::Drivers;
pub use processes::{DriverProcessView, DriverProcesses};
pub use sources::FoundDrivers;
pub(super) use sources::{DriverModel, DriverSource};
