//! The host: loads exporters from shared libraries and delivers batches to them.
//!
//! The `pub` modules are for the binary, the tests and the benchmarks.

#![expect(
    unreachable_pub,
    reason = "in the host, `pub` means public in the module; nothing else uses this crate"
)]

mod access;
mod alert;
mod api;
mod audit;
pub mod batch;
pub mod batch_journal;
pub mod cli;
mod clock;
mod cluster;
mod clusters;
pub mod collect;
pub mod config;
mod delivery;
mod exporters;
mod history;
mod host;
pub mod ingest;
mod inputs;
mod inventory;
pub mod journal;
mod lifecycle;
mod logging;
mod mappings;
pub mod memory;
mod notification;
mod panics;
mod platform;
mod plugin;
mod postgres;
mod regular_file;
mod sqlite;
mod standby;
mod state;
mod storages;
mod syslog;
mod tap;
mod traps;
mod webhooks;
mod write_guard;
